package parts

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/compute"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// gather returns the rows of a column, in ascending order. A dictionary becomes its values.
func gather(ctx context.Context, column arrow.Array, rows []int32) (arrow.Array, error) {
	if d, ok := column.(*array.Dictionary); ok {
		indexes := array.NewInt32Builder(memory.DefaultAllocator)
		defer indexes.Release()
		for _, i := range rows {
			if d.IsNull(int(i)) {
				indexes.AppendNull()
			} else {
				indexes.Append(int32(d.GetValueIndex(int(i))))
			}
		}
		at := indexes.NewArray()
		defer at.Release()
		return take(ctx, d.Dictionary(), at)
	}
	if len(rows) == column.Len() {
		column.Retain()
		return column, nil
	}
	if !simple(column.DataType()) {
		return stretches(column, rows)
	}
	indexes := array.NewInt32Builder(memory.DefaultAllocator)
	defer indexes.Release()
	indexes.AppendValues(rows, nil)
	at := indexes.NewArray()
	defer at.Release()
	return compute.TakeArray(ctx, column, at)
}

// take returns the values at indexes, which may be null.
func take(ctx context.Context, values arrow.Array, indexes arrow.Array) (arrow.Array, error) {
	if simple(values.DataType()) {
		return compute.TakeArray(ctx, values, indexes)
	}
	pieces := make([]arrow.Array, 0, indexes.Len())
	defer func() { release(pieces) }()
	for i := range indexes.Len() {
		if indexes.IsNull(i) {
			pieces = append(pieces, array.MakeArrayOfNull(memory.DefaultAllocator, values.DataType(), 1))
			continue
		}
		at := int64(indexes.(*array.Int32).Value(i))
		pieces = append(pieces, array.NewSlice(values, at, at+1))
	}
	return concatenate(pieces)
}

// simple reports whether a type is one that Arrow's Take is used for: others, such as maps
// and intervals, it does not know.
func simple(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.BOOL, arrow.STRING, arrow.BINARY, arrow.LARGE_STRING, arrow.LARGE_BINARY:
		return true
	case arrow.INTERVAL_MONTHS, arrow.INTERVAL_DAY_TIME, arrow.INTERVAL_MONTH_DAY_NANO:
		return false
	}
	return arrow.IsPrimitive(dt.ID())
}

// stretches returns the rows of a column as a copy of each stretch of them.
func stretches(column arrow.Array, rows []int32) (arrow.Array, error) {
	var pieces []arrow.Array
	defer func() { release(pieces) }()
	for i := 0; i < len(rows); {
		from := i
		for i++; i < len(rows) && rows[i] == rows[i-1]+1; i++ {
		}
		pieces = append(pieces, array.NewSlice(column, int64(rows[from]), int64(rows[i-1])+1))
	}
	return concatenate(pieces)
}

func concatenate(pieces []arrow.Array) (arrow.Array, error) {
	out, err := array.Concatenate(pieces, memory.DefaultAllocator)
	if err != nil {
		return nil, fmt.Errorf("join rows: %w", err)
	}
	return out, nil
}

func release(arrays []arrow.Array) {
	for _, a := range arrays {
		a.Release()
	}
}
