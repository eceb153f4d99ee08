package mapping

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// dictionary writes dictionary-encoded columns. Each value of the dictionary is encoded once,
// at its first use.
type dictionary struct {
	validity
	arr    *array.Dictionary
	dict   arrow.Array
	values encoder
	// seen[v] is the place of value v's JSON in text; its length is 0 before its first use.
	// Values with a problem are not kept.
	seen []struct{ at, length int32 }
	text []byte
	*room
}

// maxKept bounds the JSON kept of one dictionary, in bytes.
const maxKept = 16 << 20

func (b binder) dictionary(a *array.Dictionary) (encoder, error) {
	if before, ok := b.before.(*dictionary); ok && before.dict.Data() == a.Dictionary().Data() {
		before.validity, before.arr = validityOf(a.Data()), a
		return before, nil
	}
	b.before = nil
	dict := a.Dictionary()
	values, err := b.bind(dict)
	if err != nil {
		return nil, err
	}
	e := &dictionary{validity: validityOf(a.Data()), arr: a, dict: dict, values: values, room: &b.notes.room}
	e.seen = make([]struct{ at, length int32 }, dict.Len())
	return e, nil
}

// null also reports rows with a null in the dictionary.
func (e *dictionary) null(i int) bool {
	if e.validity.null(i) {
		return true
	}
	v := e.arr.GetValueIndex(i)
	return v >= 0 && v < len(e.seen) && e.values.null(v)
}

func (e *dictionary) append(dst []byte, i int) ([]byte, string) {
	v := e.arr.GetValueIndex(i)
	if v < 0 || v >= len(e.seen) {
		return dst, beyond
	}
	if s := e.seen[v]; s.length > 0 {
		if problem := e.roomFor(dst, int(s.length)); problem != "" {
			return dst, problem
		}
		return append(dst, e.text[s.at:s.at+s.length]...), ""
	}
	start := len(dst)
	dst, problem := e.values.append(dst, v)
	if n := len(dst) - start; problem == "" && len(e.text)+n <= maxKept {
		e.seen[v].at, e.seen[v].length = int32(len(e.text)), int32(n)
		e.text = append(e.text, dst[start:]...)
	}
	return dst, problem
}
