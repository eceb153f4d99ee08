package mapping

import (
	"encoding/base64"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/columnar"
)

const notUTF8 = "is not valid UTF-8"

// notText returns the problem of a value that is not UTF-8.
func notText(dt arrow.DataType) string {
	if isBytes(dt) {
		return notUTF8 + " (type: base64 sends any bytes)"
	}
	return notUTF8
}

// getter returns the bytes of a text or binary value in place.
type getter interface{ At(i int) []byte }

type fixedSize struct{ arr *array.FixedSizeBinary }

func (f fixedSize) At(i int) []byte { return f.arr.Value(i) }

func textOf(arr arrow.Array) (getter, error) {
	switch a := arr.(type) {
	case *array.String, *array.Binary:
		return columnar.TextsOf[int32](a.Data())
	case *array.LargeString, *array.LargeBinary:
		return columnar.TextsOf[int64](a.Data())
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
		return func(_ []byte, i int) []byte { return get.At(i) }, err
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
	s := e.At(i)
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
	s := e.At(i)
	if problem := e.roomFor(dst, len(s)); problem != "" {
		return dst, problem
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, s)
	return append(dst, '"'), ""
}
