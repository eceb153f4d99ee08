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
		at := make([]int32, len(rows))
		for k, i := range rows {
			if at[k] = none; !d.IsNull(int(i)) {
				at[k] = int32(d.GetValueIndex(int(i)))
			}
		}
		return pick(ctx, d.Dictionary(), at)
	}
	if len(rows) == column.Len() {
		column.Retain()
		return column, nil
	}
	return pick(ctx, column, rows)
}

// none is the index of a null.
const none = -1

// pick returns the values at indexes.
func pick(ctx context.Context, values arrow.Array, at []int32) (arrow.Array, error) {
	switch v := values.(type) {
	case array.StringLike:
		b := array.NewBuilder(memory.DefaultAllocator, values.DataType()).(array.StringLikeBuilder)
		return texts(b, at, values.IsNull, v.Value, func(s string) int { return len(s) }), nil
	case *array.Binary:
		b := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
		return texts(b, at, values.IsNull, v.Value, func(s []byte) int { return len(s) }), nil
	}
	if !simple(values.DataType()) {
		return stretches(values, at)
	}
	indexes := array.NewInt32Builder(memory.DefaultAllocator)
	defer indexes.Release()
	valid := make([]bool, len(at))
	for k, i := range at {
		valid[k] = i != none
	}
	indexes.AppendValues(at, valid)
	where := indexes.NewArray()
	defer where.Release()
	return compute.TakeArray(ctx, values, where)
}

// textBuilder builds an array of texts, as text or as bytes.
type textBuilder[T any] interface {
	array.Builder
	Append(T)
	ReserveData(int)
}

// texts returns the values at indexes. Arrow's Take is not used for texts: it makes room for each
// of them again, so that a column takes time by the square of its size.
func texts[T any](b textBuilder[T], at []int32, isNull func(int) bool, value func(int) T, size func(T) int) arrow.Array {
	defer b.Release()
	bytes := 0
	for _, i := range at {
		if i != none && !isNull(int(i)) {
			bytes += size(value(int(i)))
		}
	}
	b.Reserve(len(at))
	b.ReserveData(bytes)
	for _, i := range at {
		if i == none || isNull(int(i)) {
			b.AppendNull()
		} else {
			b.Append(value(int(i)))
		}
	}
	return b.NewArray()
}

// simple reports whether a type is one that Arrow's Take is used for: others, such as maps and
// intervals, it does not know.
func simple(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.INTERVAL_MONTHS, arrow.INTERVAL_DAY_TIME, arrow.INTERVAL_MONTH_DAY_NANO:
		return false
	}
	return arrow.IsPrimitive(dt.ID())
}

// stretches returns the values at indexes as a copy of each stretch of them.
func stretches(values arrow.Array, at []int32) (arrow.Array, error) {
	var pieces []arrow.Array
	defer func() { release(pieces) }()
	for i := 0; i < len(at); {
		from := i
		if i++; at[from] == none {
			pieces = append(pieces, array.MakeArrayOfNull(memory.DefaultAllocator, values.DataType(), 1))
			continue
		}
		for ; i < len(at) && at[i] == at[i-1]+1; i++ {
		}
		pieces = append(pieces, array.NewSlice(values, int64(at[from]), int64(at[i-1])+1))
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
