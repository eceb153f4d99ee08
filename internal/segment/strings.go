package segment

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
)

// StringColumn gives the values of a column that identifies profiles as bytes,
// in place: text or binary of any form, dictionary-encoded or not, or whole
// numbers. It is for one goroutine, and for as long as its array lives.
type StringColumn struct {
	valid   []byte // bitmap, nil where nothing is null
	offset  int    // of the array in its buffers
	n       int
	allNull bool

	data    []byte
	small   []int32 // offsets into data, by index from offset
	large   []int64
	width   int                            // of fixed-size values
	digits  func(dst []byte, i int) []byte // of whole numbers
	index   func(i int) int
	dict    *StringColumn
	scratch [80]byte // the longest decimal
}

// NewStringColumn wraps a column of a record. An array of another type is an
// error.
func NewStringColumn(arr arrow.Array) (*StringColumn, error) {
	if ext, ok := arr.(array.ExtensionArray); ok {
		return NewStringColumn(ext.Storage())
	}
	d := arr.Data()
	c := &StringColumn{offset: d.Offset(), n: arr.Len()}
	if arr.NullN() > 0 && arr.DataType().ID() != arrow.NULL {
		c.valid = arr.NullBitmapBytes()
	}
	buffer := func(i int) []byte {
		if b := d.Buffers()[i]; b != nil {
			return b.Bytes()
		}
		return nil
	}
	switch dt := arr.DataType().(type) {
	case *arrow.NullType:
		c.allNull = true
	case *arrow.StringType, *arrow.BinaryType:
		if c.n > 0 {
			c.small = arrow.Int32Traits.CastFromBytes(buffer(1))[c.offset:]
		}
		c.data = buffer(2)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		if c.n > 0 {
			c.large = arrow.Int64Traits.CastFromBytes(buffer(1))[c.offset:]
		}
		c.data = buffer(2)
	case *arrow.FixedSizeBinaryType:
		c.width = dt.ByteWidth
		c.data = buffer(1)
	case *arrow.DictionaryType:
		d := arr.(*array.Dictionary)
		var err error
		if c.dict, err = NewStringColumn(d.Dictionary()); err != nil {
			return nil, err
		}
		c.index = d.GetValueIndex
	default:
		if c.digits = digits(arr); c.digits == nil {
			return nil, fmt.Errorf("a column of type %s has neither text nor whole numbers", dt)
		}
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
func (c *StringColumn) Len() int { return c.n }

// Bytes gives the value of row i, false where it is null. The bytes are the
// column's own and must not be changed; a number's are valid until the next
// call.
func (c *StringColumn) Bytes(i int) ([]byte, bool) {
	if c.allNull || c.valid != nil && !bitutil.BitIsSet(c.valid, c.offset+i) {
		return nil, false
	}
	switch {
	case c.small != nil:
		return c.data[c.small[i]:c.small[i+1]], true
	case c.large != nil:
		return c.data[c.large[i]:c.large[i+1]], true
	case c.dict != nil:
		return c.dict.Bytes(c.index(i))
	case c.digits != nil:
		return c.digits(c.scratch[:0], i), true
	}
	at := (c.offset + i) * c.width
	return c.data[at : at+c.width], true
}
