package segment

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// StringColumn gives the values of a column that identifies profiles as bytes,
// in place: text or binary of any form, dictionary-encoded or not, or whole
// numbers. It is for one goroutine, and for as long as its array lives.
type StringColumn struct {
	arr     arrow.Array
	value   func(i int) ([]byte, bool) // of a row that is not null
	scratch [80]byte                   // the longest decimal
}

// NewStringColumn wraps a column of a record. An array of another type is an
// error.
func NewStringColumn(arr arrow.Array) (*StringColumn, error) {
	c := &StringColumn{arr: arr}
	have := func(value func(i int) []byte) { c.value = func(i int) ([]byte, bool) { return value(i), true } }
	switch a := arr.(type) {
	case array.ExtensionArray:
		return NewStringColumn(a.Storage())
	case *array.Null:
		c.value = func(int) ([]byte, bool) { return nil, false }
	case *array.String:
		have(array.NewBinaryData(a.Data()).Value)
	case *array.LargeString:
		have(array.NewLargeBinaryData(a.Data()).Value)
	case *array.Binary:
		have(a.Value)
	case *array.LargeBinary:
		have(a.Value)
	case *array.FixedSizeBinary:
		have(a.Value)
	case *array.Dictionary:
		values, err := NewStringColumn(a.Dictionary())
		if err != nil {
			return nil, err
		}
		c.value = func(i int) ([]byte, bool) { return values.Bytes(a.GetValueIndex(i)) }
	default:
		digits := digits(arr)
		if digits == nil {
			return nil, fmt.Errorf("a column of type %s has neither text nor whole numbers", arr.DataType())
		}
		have(func(i int) []byte { return digits(c.scratch[:0], i) })
	}
	return c, nil
}

// digits returns what appends a whole number of the array, nil for other arrays.
func digits(arr arrow.Array) func(dst []byte, i int) []byte {
	switch a := arr.(type) {
	case *array.Int8:
		return signed(a.Int8Values())
	case *array.Int16:
		return signed(a.Int16Values())
	case *array.Int32:
		return signed(a.Int32Values())
	case *array.Int64:
		return signed(a.Int64Values())
	case *array.Uint8:
		return unsigned(a.Uint8Values())
	case *array.Uint16:
		return unsigned(a.Uint16Values())
	case *array.Uint32:
		return unsigned(a.Uint32Values())
	case *array.Uint64:
		return unsigned(a.Uint64Values())
	}
	if !isWhole(arr.DataType()) {
		return nil
	}
	switch a := arr.(type) {
	case *array.Decimal128:
		return func(dst []byte, i int) []byte { return a.Value(i).BigInt().Append(dst, 10) }
	case *array.Decimal256:
		return func(dst []byte, i int) []byte { return a.Value(i).BigInt().Append(dst, 10) }
	}
	return nil
}

func signed[T int8 | int16 | int32 | int64](values []T) func([]byte, int) []byte {
	return func(dst []byte, i int) []byte { return strconv.AppendInt(dst, int64(values[i]), 10) }
}

func unsigned[T uint8 | uint16 | uint32 | uint64](values []T) func([]byte, int) []byte {
	return func(dst []byte, i int) []byte { return strconv.AppendUint(dst, uint64(values[i]), 10) }
}

// Len is the number of rows.
func (c *StringColumn) Len() int { return c.arr.Len() }

// Bytes returns the value of row i, false where it is null. The bytes are the
// column's own and must not be changed; a number's are valid until the next
// call.
func (c *StringColumn) Bytes(i int) ([]byte, bool) {
	if c.arr.IsNull(i) {
		return nil, false
	}
	return c.value(i)
}
