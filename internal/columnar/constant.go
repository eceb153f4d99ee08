package columnar

import (
	"errors"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Constant returns an array of one element: the value of a partition, by its text. A
// timestamp is one of microseconds, in UTC unless it has a zone.
func Constant(dt arrow.DataType, text string) (arrow.Array, error) {
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(text)
	case *array.TimestampBuilder:
		at, err := timestamp(text)
		if err != nil {
			return nil, err
		}
		b.Append(arrow.Timestamp(at.UnixMicro()))
	default:
		if text == array.NullValueStr { // which the builder takes for null
			return nil, errors.New("not a value")
		}
		if err := b.AppendValueFromString(text); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

func timestamp(text string) (at time.Time, err error) {
	for _, layout := range []string{time.DateTime, time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err = time.Parse(layout, text); err == nil { // accepts a fraction of a second
			return at, nil
		}
	}
	return at, err
}
