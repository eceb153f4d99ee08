package delta

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
)

// Statistics is what the log says of the values of a file, deleted rows included.
type Statistics struct {
	// Rows is how many rows the file has.
	Rows int64

	file        *File
	least, most map[string]json.RawMessage // by physical name
	nulls       map[string]json.RawMessage
}

// Statistics returns what the log says of the file's values, nil if it does not say how many
// rows the file has. Column.Bounds has the rest.
func (f *File) Statistics() *Statistics {
	var s struct {
		NumRecords                      *int64
		MinValues, MaxValues, NullCount map[string]json.RawMessage
	}
	if f.stats == "" || json.Unmarshal([]byte(f.stats), &s) != nil || s.NumRecords == nil || *s.NumRecords < f.Deleted() {
		return nil
	}
	return &Statistics{Rows: *s.NumRecords, file: f, least: s.MinValues, most: s.MaxValues, nulls: s.NullCount}
}

// Bounds returns the bounds of a column.
func (s *Statistics) Bounds(c *Column) columnar.Bounds {
	b := columnar.Bounds{Nulls: -1, Rows: s.Rows}
	if c.Partition {
		value, err := c.Constant(s.file.Partition[c.Physical])
		switch {
		case err != nil: // asTable says what is wrong
		case value.DataType().ID() == arrow.NULL:
			b.Nulls = s.Rows
		default:
			b.Nulls, b.Range = 0, pair(value, value)
		}
		return b
	}
	var nulls int64
	if json.Unmarshal(s.nulls[c.Physical], &nulls) == nil && nulls >= 0 && nulls <= s.Rows {
		b.Nulls = nulls
	}
	if least, most := c.bound(s.least[c.Physical], false), c.bound(s.most[c.Physical], true); least != nil && most != nil {
		b.Range = pair(least, most)
	}
	return b
}

func pair(a, b arrow.Array) arrow.Array {
	out, err := array.Concatenate([]arrow.Array{a, b}, memory.DefaultAllocator)
	if err != nil {
		return nil
	}
	return out
}

const (
	// truncated is how many characters of a text Delta keeps. A longest one may be lower
	// than the values that it stands for, by some writers.
	truncated = 32
	// exactDigits is how many digits survive a double, which some writers make of decimals.
	exactDigits = 15
)

// bound reads a lower or an upper bound, nil if it is not certain to be one.
func (c *Column) bound(value json.RawMessage, upper bool) arrow.Array {
	text := string(value)
	if len(value) == 0 || value[0] == '{' || value[0] == '[' || text == "null" {
		return nil
	}
	if value[0] == '"' && json.Unmarshal(value, &text) != nil {
		return nil
	}
	dt := c.ConstantType()
	if d, ok := dt.(*arrow.Decimal128Type); ok && d.Precision > exactDigits {
		return nil
	}
	if dt.ID() == arrow.STRING && (c.Type == "binary" || upper && utf8.RuneCountInString(text) >= truncated) {
		return nil
	}
	if dt.ID() == arrow.STRING && text == "" {
		return nil // which Constant takes for null
	}
	arr, err := c.Constant(&text)
	if err != nil || arr.Len() != 1 || arr.IsNull(0) {
		return nil
	}
	if at, ok := arr.(*array.Timestamp); ok && upper { // cut off to milliseconds
		b := array.NewTimestampBuilder(memory.DefaultAllocator, at.DataType().(*arrow.TimestampType))
		defer b.Release()
		b.Append(at.Value(0) + arrow.Timestamp(time.Millisecond/time.Microsecond))
		return b.NewArray()
	}
	return arr
}
