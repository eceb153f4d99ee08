package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// ErrDamaged is the error of a file with other content than was written.
var ErrDamaged = errors.New("the divided rows are damaged")

// Segment returns the part of a list as a segment. open opens the file for each reading. ok
// reports whether the list has a part.
func (x *Index) Segment(list string, info schemas.SegmentInfo, open func(context.Context) (storage.File, error)) (_ *segment.Segment, ok bool, err error) {
	p, ok := x.Parts[list]
	if !ok {
		return nil, false, nil
	}
	columns, err := x.columns()
	if err != nil {
		return nil, true, err
	}
	info.Rows = p.Rows
	stored := segment.Stored{Columns: columns, Files: x.Files, Info: info}
	stored.Rows = func(ctx context.Context, only bool) iter.Seq2[segment.Batch, error] {
		if only && len(x.Identities.Blocks) > 0 {
			return x.rows(ctx, x.Identities, open)
		}
		return x.rows(ctx, p, open)
	}
	return stored.Segment(), true, nil
}

// columns returns the columns of a part with their types.
func (x *Index) columns() ([]segment.Column, error) {
	r, err := ipc.NewReader(bytes.NewReader(x.Types))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer r.Release()
	if r.Schema().NumFields() != len(x.Columns) {
		return nil, fmt.Errorf("%w: there are types of %d columns, and %d columns", ErrDamaged, r.Schema().NumFields(), len(x.Columns))
	}
	var out []segment.Column
	for i, c := range x.Columns {
		out = append(out, segment.Column{Name: c.Name, Role: c.Role, Field: c.Field, Type: r.Schema().Field(i).Type})
	}
	return out, nil
}

func (x *Index) rows(ctx context.Context, p Part, open func(context.Context) (storage.File, error)) iter.Seq2[segment.Batch, error] {
	return func(yield func(segment.Batch, error) bool) {
		if len(p.Blocks) == 0 {
			return
		}
		file, err := open(ctx)
		if err != nil {
			yield(segment.Batch{}, err)
			return
		}
		defer file.Close()
		for _, block := range p.Blocks {
			if err = ctx.Err(); err == nil {
				var more bool
				if more, err = read(file, block, yield); err == nil && !more {
					return
				}
			}
			if err != nil {
				yield(segment.Batch{}, err)
				return
			}
		}
	}
}

// read reads a block. more reports whether the caller wants further rows.
func read(file storage.File, block Block, yield func(segment.Batch, error) bool) (more bool, err error) {
	if block.Size < 0 || block.At < 0 || block.At+block.Size > file.Size() {
		return false, fmt.Errorf("%w: the file is cut off", ErrDamaged)
	}
	data := make([]byte, block.Size)
	if n, err := file.ReadAt(data, block.At); n < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = ErrDamaged
		}
		return false, fmt.Errorf("read the divided rows: %w", err)
	}
	if xxh3.Hash(data) != block.Sum { // so Arrow reads nothing that was not written
		return false, fmt.Errorf("%w: a block does not match its checksum", ErrDamaged)
	}
	r, err := ipc.NewReader(bytes.NewReader(data))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer r.Release()
	for r.Next() {
		b, err := batchOf(r.Record())
		if err != nil {
			return false, err
		}
		more := yield(b, nil)
		b.Release()
		if !more {
			return false, nil
		}
	}
	return true, r.Err()
}

// batchOf returns the batch that a record of a block stands for.
func batchOf(rec arrow.Record) (b segment.Batch, err error) {
	n := int(rec.NumCols())
	if n < 2 {
		return b, ErrDamaged
	}
	files, ok := rec.Column(n - 2).(*array.Int32)
	rows, has := rec.Column(n - 1).(*array.Int64)
	if !ok || !has {
		return b, ErrDamaged
	}
	b.Files, b.Rows = files.Int32Values(), rows.Int64Values()
	fields := rec.Schema().Fields()[:n-2]
	b.Record = array.NewRecord(arrow.NewSchema(fields, nil), rec.Columns()[:n-2], rec.NumRows())
	return b, nil
}
