package mapping

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/batch"
)

const notUTF8 = "is not valid UTF-8"

// notText returns the problem of a value that is not UTF-8.
func notText(dt arrow.DataType) string {
	if isBytes(dt) {
		return notUTF8 + " (type: base64 sends bytes that are no text)"
	}
	return notUTF8
}

// getter returns the bytes of a text or binary value in place.
type getter interface{ get(i int) []byte }

// spans are texts in Arrow's layout.
type spans[O int32 | int64] struct {
	offsets []O
	data    []byte
}

func (s *spans[O]) get(i int) []byte { return s.data[s.offsets[i]:s.offsets[i+1]] }

// newSpans checks every offset once, so that get need not.
func newSpans[O int32 | int64](offsets []O, data arrow.ArrayData) (*spans[O], error) {
	s := &spans[O]{offsets: offsets}
	if buffers := data.Buffers(); len(buffers) > 2 && buffers[2] != nil {
		s.data = buffers[2].Bytes()
	}
	before := O(0)
	for _, o := range offsets {
		if o < before {
			return nil, errors.New("it is damaged: its texts overlap")
		}
		before = o
	}
	if int64(before) > int64(len(s.data)) {
		return nil, errors.New("it is damaged: its texts go on beyond its end")
	}
	return s, nil
}

type fixedSize struct{ arr *array.FixedSizeBinary }

func (f fixedSize) get(i int) []byte { return f.arr.Value(i) }

func textOf(arr arrow.Array) (getter, error) {
	switch a := arr.(type) {
	case *array.String:
		return newSpans(a.ValueOffsets(), a.Data())
	case *array.LargeString:
		return newSpans(a.ValueOffsets(), a.Data())
	case *array.Binary:
		return newSpans(a.ValueOffsets(), a.Data())
	case *array.LargeBinary:
		return newSpans(a.ValueOffsets(), a.Data())
	case *array.FixedSizeBinary:
		return fixedSize{a}, nil
	}
	return nil, fmt.Errorf("the type %s is not text", arr.DataType())
}

// Text returns a function that returns the bytes of row i, which is not null: a text in
// place, or the digits of a number, appended to dst.
func Text(arr arrow.Array) (func(dst []byte, i int) []byte, error) {
	if isText(arr.DataType()) {
		get, err := textOf(arr)
		return func(_ []byte, i int) []byte { return get.get(i) }, err
	}
	number, err := binder{notes: &notes{}}.bare(arr, validity{})
	return func(dst []byte, i int) []byte { dst, _ = number.append(dst, i); return dst }, err
}

// texts writes text as JSON strings.
type texts struct {
	validity
	getter
	*room
	invalid string // what is wrong where it is not UTF-8
}

func (e *texts) append(dst []byte, i int) ([]byte, string) {
	s := e.get(i)
	if problem := e.roomFor(dst, len(s)); problem != "" {
		return dst, problem
	}
	out, valid := batch.AppendText(dst, s)
	if !valid {
		return dst, e.invalid
	}
	return out, ""
}

// binaries writes bytes in base64, with padding (RFC 4648, section 4).
type binaries struct {
	validity
	getter
	*room
}

func (e *binaries) append(dst []byte, i int) ([]byte, string) {
	s := e.get(i)
	if problem := e.roomFor(dst, len(s)); problem != "" {
		return dst, problem
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, s)
	return append(dst, '"'), ""
}
