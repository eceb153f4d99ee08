package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Condition selects rows by the values of columns. It has either a Column with one operator
// or more, which must all hold, or one of All, Any and Not.
type Condition struct {
	// Column is the column's name or a path into structs. It need not be mapped.
	Column string `json:"column,omitempty"`
	// Is is for booleans.
	Is *bool `json:"is,omitempty"`
	// Equals, NotEquals, In and NotIn are for text, numbers and dates; LessThan and AtLeast
	// for text and numbers.
	Equals    Literal   `json:"equals,omitempty"`
	NotEquals Literal   `json:"notEquals,omitempty"`
	In        []Literal `json:"in,omitempty"`
	NotIn     []Literal `json:"notIn,omitempty"`
	LessThan  Literal   `json:"lessThan,omitempty"`
	AtLeast   Literal   `json:"atLeast,omitempty"`
	// Before and After are for dates and timestamps: a date, a time, or a moment relative to
	// the start of the run, such as now-30d.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// IsNull is for every column.
	IsNull *bool `json:"isNull,omitempty"`

	All []Condition `json:"all,omitempty"`
	Any []Condition `json:"any,omitempty"`
	Not *Condition  `json:"not,omitempty"`
}

// Literal is a text, a number or a boolean in a file of exports, as JSON. It is empty if it is not
// set.
type Literal string

// MarshalJSON implements json.Marshaler.
func (l Literal) MarshalJSON() ([]byte, error) {
	if l == "" {
		return []byte("null"), nil
	}
	return []byte(l), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Literal) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case bytes.Equal(data, []byte("null")):
		*l = ""
		return nil
	case len(data) == 0 || data[0] == '{' || data[0] == '[':
		return errors.New("a value must be a text, a number, true or false")
	}
	*l = Literal(data)
	return nil
}

// Text returns the literal's text. ok reports whether it is one.
func (l Literal) Text() (text string, ok bool) {
	ok = json.Unmarshal([]byte(l), &text) == nil
	return text, ok
}

// IsBoolean reports whether the literal is true or false.
func (l Literal) IsBoolean() bool { return l == "true" || l == "false" }

// Skipped is what a run did not have to read, because the statistics of files and row groups
// rule out that a row matches the segment's condition.
type Skipped struct {
	// Files were not opened, by the statistics in a table's log. RowGroups are those of
	// other files.
	Files     int `json:"files,omitempty"`
	RowGroups int `json:"rowGroups,omitempty"`
	// Rows are those of both, without deleted ones.
	Rows int64 `json:"rows,omitempty"`
}

// Each calls show for each count, with its name. A nil Skipped has none.
func (k *Skipped) Each(show func(what string, n int64)) {
	if k == nil {
		return
	}
	show("filtered without reading", k.Rows)
	if k.Files > 0 {
		show("files not opened", int64(k.Files))
	}
	if k.RowGroups > 0 {
		show("row groups not read", int64(k.RowGroups))
	}
}
