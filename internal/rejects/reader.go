package rejects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// ErrDamaged is the error for a file that is not a rejects file, or is damaged.
var ErrDamaged = errors.New("the rejects file is damaged")

const (
	// readRows is how many rows are read at a time.
	readRows = 8 << 10
	// maxReadMemory bounds, in bytes, what reading them may allocate. A whole row group
	// has 16 MiB of texts, so half of columnar.MaxBatchMemory is plenty.
	maxReadMemory = 256 << 20
)

// Reader reads a rejects file from start to end. It is not safe for concurrent use. Damage
// of any kind is an ErrDamaged; errors of reading the file are returned as they are.
type Reader struct {
	in      *columnar.Source
	file    *file.Reader
	reader  *pqarrow.FileReader
	memory  *budget
	group   int   // the next row group
	left    int64 // rows of the current row group that are not loaded
	leaves  [numColumns]*pqarrow.ColumnReader
	texts   [numColumns]*array.String
	numbers *array.Int64
	row     int // the next of the loaded rows
	loaded  int
	names   [numColumns]string // the last names returned
	err     error
}

// Open opens a file, which Close does not close.
func Open(f storage.File) (*Reader, error) {
	r := &Reader{in: columnar.NewSource(context.Background(), f), memory: &budget{Allocator: memory.DefaultAllocator}}
	if err := r.readError(r.open()); err != nil {
		return nil, err
	}
	return r, nil
}

// batchOf returns how many rows of a file to read at a time. Arrow reserves memory for as many,
// however few there are.
func batchOf(f *file.Reader) int64 { return min(readRows, max(1, f.NumRows())) }

func (r *Reader) open() (err error) {
	defer columnar.Guard(&err)
	size := r.in.Size()
	r.file, err = file.NewParquetReader(io.NewSectionReader(r.in, 0, size), file.WithReadProps(parquet.NewReaderProperties(r.memory)))
	if err != nil {
		return err
	}
	if err := checkFooter(r.file.MetaData(), size); err != nil {
		return err
	}
	if r.reader, err = pqarrow.NewFileReader(r.file, pqarrow.ArrowReadProperties{BatchSize: batchOf(r.file)}, r.memory); err != nil {
		return err
	}
	schema, err := r.reader.Schema()
	if err != nil || !sameColumns(schema) {
		return fmt.Errorf("%w: its columns are not those of a rejects file", ErrDamaged)
	}
	return nil
}

// checkFooter checks what the library does not: it allocates as many bytes as the footer
// says that a column has.
func checkFooter(m *metadata.FileMetaData, size int64) error {
	var rows int64
	for g, raw := range m.RowGroups {
		if raw.NumRows < 0 || len(raw.Columns) != numColumns {
			return fmt.Errorf("%w: row group %d does not have the schema of a rejects file", ErrDamaged, g)
		}
		rows += raw.NumRows
		for c := range numColumns {
			chunk, err := m.RowGroup(g).ColumnChunk(c)
			if err != nil {
				return err
			}
			start, length := chunk.DataPageOffset(), chunk.TotalCompressedSize()
			if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
				start = min(start, chunk.DictionaryPageOffset())
			}
			if start < 0 || length < 0 || length > maxReadMemory || start > size-length || chunk.NumValues() != raw.NumRows {
				return fmt.Errorf("%w: row group %d has impossible offsets or sizes", ErrDamaged, g)
			}
		}
	}
	if rows != m.NumRows {
		return fmt.Errorf("%w: its footer contradicts itself", ErrDamaged)
	}
	return nil
}

// sameColumns reports whether a file has the columns of a rejects file, whatever their
// metadata.
func sameColumns(s *arrow.Schema) bool {
	return slices.EqualFunc(s.Fields(), RejectSchema.Fields(), func(a, b arrow.Field) bool {
		return a.Name == b.Name && arrow.TypeEqual(a.Type, b.Type) && a.Nullable == b.Nullable
	})
}

// Next returns the next row. It returns false at the end and after an error.
func (r *Reader) Next() (Reject, bool) {
	if r.err != nil {
		return Reject{}, false
	}
	row, ok, err := r.next()
	if err != nil {
		r.err = r.readError(err)
		return Reject{}, false
	}
	return row, ok
}

func (r *Reader) next() (row Reject, ok bool, err error) {
	defer columnar.Guard(&err)
	if r.row == r.loaded {
		if more, err := r.load(); !more {
			return Reject{}, false, err
		}
	}
	i := r.row
	r.row++
	row = Reject{File: r.name(colFile, i), Row: r.numbers.Value(i), Column: r.name(colColumn, i), Reason: schemas.Reason(r.name(colReason, i))}
	if values := r.texts[colValue]; !values.IsNull(i) {
		row.Value = []byte(values.Value(i))
	}
	return row, true, nil
}

// name returns a text of a column whose texts repeat. It is a copy, so that it keeps
// nothing else in memory.
func (r *Reader) name(column, i int) string {
	if s := r.texts[column].Value(i); s != r.names[column] {
		r.names[column] = strings.Clone(s)
	}
	return r.names[column]
}

// load loads the next rows, and reports whether there are any.
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

// column reads rows of a column of the current row group.
func (r *Reader) column(c int, rows int64) (arrow.Array, error) {
	chunks, err := r.leaves[c].NextBatch(rows)
	if err != nil {
		return nil, err
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

// Err returns the error that ended the reading, nil at the end of the file.
func (r *Reader) Err() error { return r.err }

// Close releases the reader's memory. A second call does nothing.
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

// readError returns the error of reading the file if there was one, and otherwise an
// ErrDamaged for any error of the Parquet library.
func (r *Reader) readError(err error) error {
	switch failed := r.in.Failed(); {
	case err == nil:
		return nil
	case failed != nil:
		return fmt.Errorf("read the rejects file: %w", failed)
	case errors.Is(err, ErrDamaged):
		return err
	}
	return ErrDamaged
}

// budget is an allocator that panics if damage asks for more than reading rows can need.
type budget struct {
	memory.Allocator
	used int
}

func (b *budget) take(size int) {
	if size < 0 || size > maxReadMemory-b.used {
		panic(columnar.TooMuchMemory{What: "the rejects"})
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
