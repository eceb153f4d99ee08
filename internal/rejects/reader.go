package rejects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// ErrDamaged is the error of a file that is no rejects file, or was damaged.
var ErrDamaged = errors.New("the rejects file is damaged")

// readRows is how many rows are read at a time.
const readRows = 8 << 10

// Reader reads a rejects file from its start to its end. It is not safe for
// concurrent use.
type Reader struct {
	file    *file.Reader
	records pqarrow.RecordReader
	row     int
	columns [6]*array.String
	numbers *array.Int64
	err     error
}

// Open opens the file of size bytes.
func Open(r io.ReaderAt, size int64) (out *Reader, err error) {
	defer guard(&err)
	f, err := file.NewParquetReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	p, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: readRows}, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	schema, err := p.Schema()
	if err != nil || !sameColumns(schema) {
		return nil, fmt.Errorf("%w: it has other columns", ErrDamaged)
	}
	records, err := p.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return &Reader{file: f, records: records}, nil
}

// sameColumns tells whether a file has the columns of a rejects file. What else
// Parquet notes about them does not matter.
func sameColumns(s *arrow.Schema) bool {
	want := schemas.RejectSchema.Fields()
	return slices.EqualFunc(s.Fields(), want, func(a, b arrow.Field) bool {
		return a.Name == b.Name && arrow.TypeEqual(a.Type, b.Type) && a.Nullable == b.Nullable
	})
}

// Rows is how many rows the file has.
func (r *Reader) Rows() int64 { return r.file.NumRows() }

// Next gives the next row, and false at the end or at an error.
func (r *Reader) Next() (out Reject, ok bool) {
	if r.err != nil {
		return Reject{}, false
	}
	defer func() {
		if r.err != nil {
			out, ok = Reject{}, false
		}
	}()
	defer guard(&r.err)
	if r.numbers == nil || r.row == r.numbers.Len() {
		if !r.load() {
			return Reject{}, false
		}
	}
	i := r.row
	r.row++
	out = Reject{
		File: r.columns[0].Value(i), Row: r.numbers.Value(i), Column: r.columns[2].Value(i),
		Reason: schemas.Reason(r.columns[4].Value(i)),
	}
	if !r.columns[3].IsNull(i) {
		out.Value = []byte(r.columns[3].Value(i))
	}
	return out, true
}

// load takes the next record batch that has rows.
func (r *Reader) load() bool {
	for r.records.Next() {
		rec := r.records.Record()
		if rec.NumRows() == 0 {
			continue
		}
		for i := range r.columns {
			if i == 1 {
				r.numbers = rec.Column(i).(*array.Int64)
				continue
			}
			r.columns[i] = rec.Column(i).(*array.String)
		}
		r.row = 0
		return true
	}
	if err := r.records.Err(); err != nil && !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return false
}

// Err is what ended the reading early, nil at the file's end.
func (r *Reader) Err() error { return r.err }

// Close lets go of the file, which it does not close.
func (r *Reader) Close() error {
	r.records.Release()
	return nil
}

// guard turns a panic of the Parquet library into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = ErrDamaged
	}
}
