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
	// maxChunk bounds the size of a column in a row group, which has 16 MiB of texts.
	maxChunk = 256 << 20
)

// batches reads the record batches of one of this package's files. Damage of any kind is an
// ErrDamaged; errors of reading the file are returned as they are.
type batches struct {
	what    string // the file, for errors
	in      *columnar.Source
	file    *file.Reader
	reader  *pqarrow.FileReader
	memory  *columnar.Budget
	group   int   // the next row group
	left    int64 // rows of the current row group that are not read
	records pqarrow.RecordReader
}

func openBatches(ctx context.Context, f storage.File, what string, schema *arrow.Schema) (*batches, error) {
	b := &batches{what: what, in: columnar.NewSource(ctx, f), memory: columnar.NewBudget(columnar.MaxBatchMemory)}
	return b, b.problem(b.open(schema))
}

func (b *batches) open(want *arrow.Schema) (err error) {
	defer columnar.Guard(&err)
	size := b.in.Size()
	b.file, err = file.NewParquetReader(io.NewSectionReader(b.in, 0, size), file.WithReadProps(parquet.NewReaderProperties(b.memory)))
	if err != nil {
		return err
	}
	if err := checkFooter(b.file.MetaData(), size, want.NumFields()); err != nil {
		return err
	}
	// Arrow reserves memory for as many rows as are read at a time, however few there are.
	rows := min(readRows, max(1, b.file.NumRows()))
	if b.reader, err = pqarrow.NewFileReader(b.file, pqarrow.ArrowReadProperties{BatchSize: rows}, b.memory); err != nil {
		return err
	}
	if schema, err := b.reader.Schema(); err != nil || !sameColumns(schema, want) {
		return fmt.Errorf("%w: its columns are not those of %s", ErrDamaged, b.what)
	}
	return nil
}

// checkFooter checks what the library does not: it allocates as many bytes as the footer
// says that a column has.
func checkFooter(m *metadata.FileMetaData, size int64, columns int) error {
	var rows int64
	for g, raw := range m.RowGroups {
		if raw.NumRows < 0 || len(raw.Columns) != columns {
			return fmt.Errorf("%w: row group %d does not have the right columns", ErrDamaged, g)
		}
		rows += raw.NumRows
		for c := range columns {
			chunk, err := m.RowGroup(g).ColumnChunk(c)
			if err != nil {
				return err
			}
			start, length := chunk.DataPageOffset(), chunk.TotalCompressedSize()
			if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
				start = min(start, chunk.DictionaryPageOffset())
			}
			if start < 0 || length < 0 || length > maxChunk || start > size-length || chunk.NumValues() != raw.NumRows {
				return fmt.Errorf("%w: row group %d has impossible offsets or sizes", ErrDamaged, g)
			}
		}
	}
	if rows != m.NumRows {
		return fmt.Errorf("%w: its footer contradicts itself", ErrDamaged)
	}
	return nil
}

// sameColumns reports whether two schemas have the same columns, whatever their metadata.
func sameColumns(a, b *arrow.Schema) bool {
	return slices.EqualFunc(a.Fields(), b.Fields(), func(a, b arrow.Field) bool {
		return a.Name == b.Name && arrow.TypeEqual(a.Type, b.Type) && a.Nullable == b.Nullable
	})
}

// next returns the next rows, which are valid until it is called again, and io.EOF at the end.
func (b *batches) next() (arrow.Record, error) {
	rec, err := b.read()
	return rec, b.problem(err)
}

func (b *batches) read() (rec arrow.Record, err error) {
	defer columnar.Guard(&err)
	b.memory.Reset()
	for b.left == 0 {
		if b.group == b.file.NumRowGroups() {
			return nil, io.EOF
		}
		b.left = b.file.MetaData().RowGroups[b.group].NumRows
		if b.records, err = b.reader.GetRecordReader(context.Background(), nil, []int{b.group}); err != nil {
			return nil, err
		}
		b.group++
	}
	if !b.records.Next() {
		if err := b.records.Err(); err != nil && err != io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("%w: rows are missing", ErrDamaged)
	}
	rec = b.records.Record()
	b.left -= rec.NumRows()
	return rec, nil
}

// problem returns the error of reading the file if there was one, and otherwise an ErrDamaged for
// any error of the Parquet library.
func (b *batches) problem(err error) error {
	switch failed := b.in.Failed(); {
	case err == nil || err == io.EOF:
		return err
	case failed != nil:
		return fmt.Errorf("read %s: %w", b.what, failed)
	case errors.Is(err, ErrDamaged):
		return err
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

// Reader reads a rejects file from start to end. It is not safe for concurrent use. Damage
// of any kind is an ErrDamaged; errors of reading the file are returned as they are.
type Reader struct {
	*batches
	rows  arrow.Record       // nil before the first ones
	row   int                // the next of them
	names [numColumns]string // the last names returned
	err   error
}

// Open opens a file, which Close does not close.
func Open(f storage.File) (*Reader, error) {
	b, err := openBatches(context.Background(), f, "the rejects file", rejectSchema)
	if err != nil {
		return nil, err
	}
	return &Reader{batches: b}, nil
}

// Next returns the next row. It returns false at the end and after an error.
func (r *Reader) Next() (Reject, bool) {
	for r.err == nil && (r.rows == nil || r.row == int(r.rows.NumRows())) {
		r.row = 0
		r.rows, r.err = r.next()
	}
	if r.err != nil {
		return Reject{}, false
	}
	i := r.row
	r.row++
	row := Reject{File: r.name(colFile, i), Row: r.rows.Column(colRow).(*array.Int64).Value(i), Column: r.name(colColumn, i), Reason: schemas.Reason(r.name(colReason, i))}
	if values := r.rows.Column(colValue).(*array.String); !values.IsNull(i) {
		row.Value = []byte(values.Value(i))
	}
	return row, true
}

// name returns a text of a column whose texts repeat. It is a copy, so that it keeps
// nothing else in memory.
func (r *Reader) name(column, i int) string {
	if s := r.rows.Column(column).(*array.String).Value(i); s != r.names[column] {
		r.names[column] = strings.Clone(s)
	}
	return r.names[column]
}

// Err returns the error that ended the reading, nil at the end of the file.
func (r *Reader) Err() error {
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// Close releases the reader's memory. A second call does nothing.
func (r *Reader) Close() error {
	if r.records != nil {
		r.records.Release()
		r.records = nil
	}
	return nil
}
