package segment

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/mapping"
)

// StringColumn returns the values of a column that identifies profiles as bytes, without
// copying. The column has text or binary of any form, dictionary-encoded or not, or whole
// numbers. It must be used by one goroutine, before its array is released.
type StringColumn struct {
	arr     arrow.Array
	value   func(i int) ([]byte, bool) // of a row that is not null
	scratch [80]byte                   // the longest decimal
}

// NewStringColumn returns the StringColumn of an array, or an error if its type does not
// identify profiles.
func NewStringColumn(arr arrow.Array) (*StringColumn, error) {
	c := &StringColumn{arr: arr}
	switch a := arr.(type) {
	case *array.Null:
		c.value = func(int) ([]byte, bool) { return nil, false }
	case *array.Dictionary:
		values, err := NewStringColumn(a.Dictionary())
		if err != nil {
			return nil, err
		}
		c.value = func(i int) ([]byte, bool) { return values.Bytes(a.GetValueIndex(i)) }
	default:
		if !identifies(UserID, arr.DataType()) {
			return nil, fmt.Errorf("type %s is neither text nor whole numbers", arr.DataType())
		}
		text, err := mapping.Text(arr)
		c.value = func(i int) ([]byte, bool) { return text(c.scratch[:0], i), true }
		return c, err
	}
	return c, nil
}

// Len returns the number of rows.
func (c *StringColumn) Len() int { return c.arr.Len() }

// Bytes returns the value of row i, and reports whether it is not null. The bytes belong
// to the column and must not be changed; those of a number are valid until the next call.
func (c *StringColumn) Bytes(i int) ([]byte, bool) {
	if c.arr.IsNull(i) {
		return nil, false
	}
	return c.value(i)
}
