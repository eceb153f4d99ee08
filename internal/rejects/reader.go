package rejects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// ErrDamaged is the error of a file that is no rejects file, or was damaged.
var ErrDamaged = errors.New("the rejects file is damaged")

const (
	// readRows is how many rows are read at a time.
	readRows = 8 << 10
	// maxReadMemory bounds, in bytes, what reading them may take. A whole row
	// group has 16 MiB of texts.
	maxReadMemory = 256 << 20
)

// Reader reads a rejects file from its start to its end. It is not safe for
// concurrent use. Damage, whatever it is, is an ErrDamaged; an error of the file
// that is read is passed on.
type Reader struct {
	in      *source
	file    *file.Reader
	reader  *pqarrow.FileReader
	memory  *budget
	group   int   // the row group to open next
	left    int64 // rows of the open one that were not loaded yet
	leaves  [numColumns]*pqarrow.ColumnReader
	texts   [numColumns]*array.String
	numbers *array.Int64
	row     int // the next of the loaded rows
	loaded  int
	names   [numColumns]string // the last names given out
	err     error
}

// Open opens the file of size bytes.
func Open(in io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{in: &source{ReaderAt: in}, memory: &budget{Allocator: memory.DefaultAllocator}}
	if err := r.readError(r.open(size)); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(size int64) (err error) {
	defer guard(&err)
	r.file, err = file.NewParquetReader(io.NewSectionReader(r.in, 0, size), file.WithReadProps(parquet.NewReaderProperties(r.memory)))
	if err != nil {
		return ErrDamaged
	}
	if err := checkFooter(r.file.MetaData(), size); err != nil {
		return err
	}
	if r.reader, err = pqarrow.NewFileReader(r.file, pqarrow.ArrowReadProperties{BatchSize: readRows}, r.memory); err != nil {
		return ErrDamaged
	}
	schema, err := r.reader.Schema()
	if err != nil || !sameColumns(schema) {
		return fmt.Errorf("%w: it has other columns", ErrDamaged)
	}
	return nil
}

// checkFooter checks what the library takes for granted: it makes room for as
// many bytes as the footer says that a column has.
func checkFooter(m *metadata.FileMetaData, size int64) error {
	var rows int64
	for g, raw := range m.RowGroups {
		if raw.NumRows < 0 || len(raw.Columns) != numColumns {
			return fmt.Errorf("%w: row group %d is none of a rejects file", ErrDamaged, g)
		}
		rows += raw.NumRows
		for c := range numColumns {
			chunk, err := m.RowGroup(g).ColumnChunk(c)
			if err != nil {
				return fmt.Errorf("%w: its footer can't be read", ErrDamaged)
			}
			start, length := chunk.DataPageOffset(), chunk.TotalCompressedSize()
			if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
				start = min(start, chunk.DictionaryPageOffset())
			}
			if start < 0 || length < 0 || length > maxReadMemory || start > size-length || chunk.NumValues() != raw.NumRows {
				return fmt.Errorf("%w: row group %d claims what it can't have", ErrDamaged, g)
			}
		}
	}
	if rows != m.NumRows {
		return fmt.Errorf("%w: its footer contradicts itself", ErrDamaged)
	}
	return nil
}

// sameColumns tells whether a file has the columns of a rejects file. What else
// Parquet notes about them does not matter.
func sameColumns(s *arrow.Schema) bool {
	return slices.EqualFunc(s.Fields(), schemas.RejectSchema.Fields(), func(a, b arrow.Field) bool {
		return a.Name == b.Name && arrow.TypeEqual(a.Type, b.Type) && a.Nullable == b.Nullable
	})
}

// Rows is how many rows the file has.
func (r *Reader) Rows() int64 { return r.file.NumRows() }

// Next gives the next row, and false at the end or at an error.
func (r *Reader) Next() (Reject, bool) { return r.next(nil) }

// Query says which rows to give.
type Query struct {
	// Reasons are the reasons that count; none means all.
	Reasons []schemas.Reason
	// Limit is how many rows to give at most; 0 is no limit.
	Limit int64
}

// Select gives the rows that a query asks for, from where the reader stands, in
// the order of the file. What ends it early is its last element's error.
func (r *Reader) Select(q Query) iter.Seq2[Reject, error] {
	return func(yield func(Reject, error) bool) {
		for n := int64(0); q.Limit <= 0 || n < q.Limit; n++ {
			row, ok := r.next(q.Reasons)
			if !ok {
				if r.err != nil {
					yield(Reject{}, r.err)
				}
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// next gives the next row that has one of the reasons.
func (r *Reader) next(reasons []schemas.Reason) (Reject, bool) {
	if r.err != nil {
		return Reject{}, false
	}
	row, ok, err := r.find(reasons)
	if err != nil {
		r.err = r.readError(err)
		return Reject{}, false
	}
	return row, ok
}

func (r *Reader) find(reasons []schemas.Reason) (row Reject, ok bool, err error) {
	defer guard(&err)
	for {
		if r.row == r.loaded {
			if more, err := r.load(); !more {
				return Reject{}, false, err
			}
		}
		i := r.row
		r.row++
		reason := schemas.Reason(r.name(colReason, i))
		if len(reasons) > 0 && !slices.Contains(reasons, reason) {
			continue
		}
		row = Reject{File: r.name(colFile, i), Row: r.numbers.Value(i), Column: r.name(colColumn, i), Reason: reason}
		if values := r.texts[colValue]; !values.IsNull(i) {
			row.Value = []byte(values.Value(i))
		}
		return row, true, nil
	}
}

// name gives a text of a column whose texts repeat. It is a copy, and so keeps
// nothing else in memory.
func (r *Reader) name(column, i int) string {
	if s := r.texts[column].Value(i); s != r.names[column] {
		r.names[column] = strings.Clone(s)
	}
	return r.names[column]
}

// load takes the next rows, and tells whether there were any.
func (r *Reader) load() (bool, error) {
	for r.left == 0 {
		if r.group == r.file.NumRowGroups() {
			return false, nil
		}
		if err := r.openGroup(); err != nil {
			return false, err
		}
	}
	r.memory.used = 0
	rows := min(r.left, readRows)
	for c := range r.leaves {
		arr, err := r.column(c, rows)
		if err != nil {
			return false, err
		}
		if c == colRow {
			r.numbers = arr.(*array.Int64)
		} else {
			r.texts[c] = arr.(*array.String)
		}
	}
	r.left -= rows
	r.row, r.loaded = 0, int(rows)
	return true, nil
}

func (r *Reader) openGroup() error {
	r.memory.used = 0
	for c := range r.leaves {
		if r.leaves[c] != nil {
			r.leaves[c].Release()
		}
		var err error
		r.leaves[c], err = r.reader.GetFieldReader(context.Background(), c, map[int]bool{c: true}, []int{r.group})
		if err != nil || r.leaves[c] == nil {
			return ErrDamaged
		}
	}
	r.left = r.file.MetaData().RowGroups[r.group].NumRows
	r.group++
	return nil
}

// column reads so many rows of a column of the open row group.
func (r *Reader) column(c int, rows int64) (arrow.Array, error) {
	chunks, err := r.leaves[c].NextBatch(rows)
	if err != nil {
		return nil, ErrDamaged
	}
	defer chunks.Release()
	if int64(chunks.Len()) != rows {
		return nil, fmt.Errorf("%w: rows are missing", ErrDamaged)
	}
	if len(chunks.Chunks()) == 1 {
		arr := chunks.Chunk(0)
		arr.Retain()
		return arr, nil
	}
	return array.Concatenate(chunks.Chunks(), r.memory)
}

// Err is what ended the reading early, nil at the file's end.
func (r *Reader) Err() error { return r.err }

// Close lets go of the file, which it does not close. A second call does nothing.
func (r *Reader) Close() error {
	for c, leaf := range r.leaves {
		if leaf != nil {
			leaf.Release()
			r.leaves[c] = nil
		}
	}
	r.group, r.left, r.row, r.loaded = r.file.NumRowGroups(), 0, 0, 0
	return nil
}

// readError is the error of a step of reading. Where the file could not be read
// it is that, not what Parquet makes of it.
func (r *Reader) readError(err error) error {
	if err != nil && r.in.err != nil {
		return fmt.Errorf("read the rejects file: %w", r.in.err)
	}
	return err
}

// guard turns a panic of the Parquet library into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = ErrDamaged
	}
}

// source is a file that remembers its first error.
type source struct {
	io.ReaderAt
	err error
}

func (s *source) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, at)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

// budget is an allocator that panics where damage asks for more than reading
// some rows can take.
type budget struct {
	memory.Allocator
	used int
}

func (b *budget) take(size int) {
	if size < 0 || size > maxReadMemory-b.used {
		panic(ErrDamaged)
	}
	b.used += size
}

func (b *budget) Allocate(size int) []byte {
	b.take(size)
	return b.Allocator.Allocate(size)
}

func (b *budget) Reallocate(size int, old []byte) []byte {
	b.take(max(0, size-len(old)))
	return b.Allocator.Reallocate(size, old)
}
