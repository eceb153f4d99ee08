package mapping

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

const (
	beyond  = "is damaged: it points beyond the values there are"
	nullKey = "has a map key that is null"
)

// inner returns the binder for the values inside a column's values.
func (b binder) inner() binder { return binder{sendNulls: b.sendNulls, notes: b.notes} }

// list writes lists of every layout as JSON arrays. Null elements are null.
type list struct {
	validity
	arr    array.ListLike
	n      int64 // of values
	values encoder
	*room
}

func (b binder) list(a array.ListLike, v validity) (encoder, error) {
	values, err := b.inner().bind(a.ListValues())
	return &list{v, a, int64(a.ListValues().Len()), values, &b.notes.room}, err
}

func (e *list) append(dst []byte, i int) ([]byte, string) {
	start, end := e.arr.ValueOffsets(i)
	if start < 0 || start > end || end > e.n {
		return dst, beyond
	}
	dst = append(dst, '[')
	for j := start; j < end; j++ {
		if j > start {
			dst = append(dst, ',')
		}
		var problem string
		if dst, problem = e.element(dst, e.values, int(j)); problem != "" {
			return dst, problem
		}
	}
	return append(dst, ']'), ""
}

// element writes one of many values, or null for it.
func (r *room) element(dst []byte, e encoder, i int) ([]byte, string) {
	if problem := r.roomFor(dst, 0); problem != "" {
		return dst, problem
	}
	if e.null(i) {
		return append(dst, "null"...), ""
	}
	return e.append(dst, i)
}

// object writes structs as JSON objects. Null fields are left out or sent, as
// the columns are.
type object struct {
	validity
	keys      [][]byte
	fields    []encoder
	sendNulls bool
	*room
}

func (b binder) object(a *array.Struct, v validity) (encoder, error) {
	e := &object{validity: v, sendNulls: b.sendNulls, room: &b.notes.room}
	for j, f := range a.DataType().(*arrow.StructType).Fields() {
		field, err := b.inner().bind(a.Field(j))
		if err != nil {
			return nil, err
		}
		e.keys = append(e.keys, appendKey(nil, f.Name))
		e.fields = append(e.fields, field)
	}
	return e, nil
}

func (e *object) append(dst []byte, i int) ([]byte, string) {
	dst = append(dst, '{')
	start := len(dst)
	for j, field := range e.fields {
		if !e.sendNulls && field.null(i) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		var problem string
		if dst, problem = e.element(append(dst, e.keys[j]...), field, i); problem != "" {
			return dst, problem
		}
	}
	return append(dst, '}'), ""
}

// maps writes maps: as an object if the keys are texts, else as an array of
// {"key":…,"value":…}.
type maps struct {
	validity
	arr          *array.Map
	n            int64
	keys, values encoder
	asObject     bool
	sendNulls    bool
	*room
}

func (b binder) maps(a *array.Map, v validity) (encoder, error) {
	keys, err := b.inner().bind(a.Keys())
	if err != nil {
		return nil, err
	}
	values, err := b.inner().bind(a.Items())
	return &maps{v, a, int64(min(a.Keys().Len(), a.Items().Len())), keys, values, textKeys(a.DataType()), b.sendNulls, &b.notes.room}, err
}

func (e *maps) append(dst []byte, i int) ([]byte, string) {
	from, end := e.arr.ValueOffsets(i)
	if from < 0 || from > end || end > e.n {
		return dst, beyond
	}
	brackets := "[]"
	if e.asObject {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	start := len(dst)
	for j := int(from); j < int(end); j++ {
		if e.keys.null(j) {
			return dst, nullKey
		}
		if e.asObject && !e.sendNulls && e.values.null(j) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		var problem string
		if dst, problem = e.entry(dst, j); problem != "" {
			return dst, problem
		}
	}
	return append(dst, brackets[1]), ""
}

func (e *maps) entry(dst []byte, j int) ([]byte, string) {
	if !e.asObject {
		dst = append(dst, `{"key":`...)
	}
	dst, problem := e.keys.append(dst, j)
	if problem != "" {
		return dst, problem
	}
	if e.asObject {
		return e.element(append(dst, ':'), e.values, j)
	}
	dst, problem = e.element(append(dst, `,"value":`...), e.values, j)
	return append(dst, '}'), problem
}
