package mapping

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
)

// encoder writes the values of one array, in place. append is only called for rows that are
// not null; its second result is what is wrong with a value, or empty.
type encoder interface {
	null(i int) bool
	append(dst []byte, i int) ([]byte, string)
}

const tooLarge = "is larger than one request may be"

// room is the maximum size of one row. A few bytes of a file can stand for any amount of
// JSON, with lists that repeat one large text of a dictionary. So everything of variable
// length is checked before it is written.
type room struct{ end int }

// roomFor returns a problem if n more bytes exceed the room, or "".
func (r *room) roomFor(dst []byte, n int) string {
	if n > r.end-len(dst) {
		return tooLarge
	}
	return ""
}

// validity knows which rows of an array are null.
type validity struct {
	bits   []byte // nil where no row is null
	offset int
}

func (v validity) null(i int) bool { return v.bits != nil && bitutil.BitIsNotSet(v.bits, v.offset+i) }

func validityOf(data arrow.ArrayData) validity {
	if data.NullN() == 0 || len(data.Buffers()) == 0 || data.Buffers()[0] == nil || data.Buffers()[0].Len() == 0 {
		return validity{}
	}
	return validity{bits: data.Buffers()[0].Bytes(), offset: data.Offset()}
}

// nulls writes columns that have no values.
type nulls struct{}

func (nulls) null(int) bool                             { return true }
func (nulls) append(dst []byte, _ int) ([]byte, string) { return append(dst, "null"...), "" }

// binder chooses the encoder of an array. kindOf has checked that there is one.
type binder struct {
	force     string
	sendNulls bool
	notes     *notes
	// steps are the transforms of texts; emptyNull is set if an empty text is null then.
	steps     []transform
	emptyNull bool
	// before is the column's encoder for the record before, of which a
	// dictionary may be kept.
	before encoder
}

// bind returns the encoder of an array in the forced form.
func (b binder) bind(arr arrow.Array) (encoder, error) {
	if arr.Len() == 0 {
		return nulls{}, nil
	}
	switch a := arr.(type) {
	case *array.Null:
		return nulls{}, nil
	case *array.Dictionary:
		return b.dictionary(a)
	}
	if b.force != "" {
		return b.forced(arr)
	}
	return b.own(arr)
}

// own returns the encoder of the form that the type has by itself.
func (b binder) own(arr arrow.Array) (encoder, error) {
	v := validityOf(arr.Data())
	if isText(arr.DataType()) {
		get, err := textOf(arr)
		if b.steps != nil {
			return &transformed{texts: texts{v, get, &b.notes.room, notText(arr.DataType())}, steps: b.steps, emptyNull: b.emptyNull}, err
		}
		return &texts{v, get, &b.notes.room, notText(arr.DataType())}, err
	}
	switch a := arr.(type) {
	case *array.Boolean:
		return &booleans{v, a}, nil
	case *array.Map:
		return b.maps(a, v)
	case array.ListLike:
		return b.list(a, v)
	case *array.Struct:
		return b.object(a, v)
	}
	if e := numberEncoder(arr, v, b.notes, false); e != nil {
		return e, nil
	}
	if e := temporalEncoder(arr, v); e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("the type %s has no JSON form; leave the column out", arr.DataType())
}

type booleans struct {
	validity
	arr *array.Boolean
}

func (e *booleans) append(dst []byte, i int) ([]byte, string) {
	if e.arr.Value(i) {
		return append(dst, "true"...), ""
	}
	return append(dst, "false"...), ""
}
