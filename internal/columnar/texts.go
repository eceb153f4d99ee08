package columnar

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
)

// Texts are texts or bytes in Arrow's layout: text i is Data[Offsets[i]:Offsets[i+1]].
type Texts[O int32 | int64] struct {
	Offsets []O
	Data    []byte
}

// TextsOf returns the texts of an array, which shares their memory. It checks every offset
// once, so that At need not. The text of a null is any.
func TextsOf[O int32 | int64](arr arrow.ArrayData) (t Texts[O], err error) {
	n := arr.Len()
	if n == 0 {
		return Texts[O]{Offsets: []O{0}}, nil
	}
	buffers := arr.Buffers()
	if len(buffers) != 3 || buffers[1] == nil || buffers[1].Len()/int(unsafe.Sizeof(O(0))) < arr.Offset()+n+1 {
		return t, fmt.Errorf("it is damaged: it does not have a text for each of its %d rows", n)
	}
	t.Offsets = arrow.GetData[O](buffers[1].Bytes())[arr.Offset():][:n+1]
	if buffers[2] != nil {
		t.Data = buffers[2].Bytes()
	}
	before := O(0)
	for _, o := range t.Offsets {
		if o < before {
			return t, errors.New("it is damaged: its texts overlap")
		}
		before = o
	}
	if int64(before) > int64(len(t.Data)) {
		return t, errors.New("it is damaged: its texts are longer than its data")
	}
	t.Data = t.Data[:before]
	return t, nil
}

// At returns text i, which must not be changed.
func (t Texts[O]) At(i int) []byte { return t.Data[t.Offsets[i]:t.Offsets[i+1]:t.Offsets[i+1]] }
