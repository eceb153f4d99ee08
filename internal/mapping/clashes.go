package mapping

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// Clash is a field that Iterable already has with another type. A field's type never changes
// there: values that can't be converted are refused.
type Clash struct {
	// Column is the column's name in the segment; Field is the field's in
	// Iterable, a path such as address.city inside a struct.
	Column, Field string
	// Ours is the type that the column's values have, Existing the field's, both
	// by Iterable's names.
	Ours, Existing string
	// Lossy is set if Iterable may accept the values without their fractions: doubles for a
	// long.
	Lossy bool
}

// String returns a sentence with the clash and its fix.
func (c Clash) String() string {
	if c.Lossy {
		return fmt.Sprintf("column %s has fractions, and the field %s holds integers (long) in Iterable: fractions may be cut off or refused; send it as another field with as", c.Column, c.Field)
	}
	return fmt.Sprintf("column %s would be sent as %s, but the field %s is %s in Iterable, and Iterable refuses values of another type; send it as another field with as, or set type", c.Column, c.Ours, c.Field, c.Existing)
}

// Fields returns the data fields that the mapping makes, in the order of the columns, with the
// type that Iterable uses for each if it does not have it yet. Fields inside structs are
// included, by their paths. An array has the type of its elements, as in Iterable. Type is
// empty if it depends on the values.
func (m *Mapper) Fields() []schemas.MappedField {
	var out []schemas.MappedField
	for _, c := range m.columns {
		if c.Value != "" {
			out = append(out, schemas.MappedField{Column: c.Name, Field: c.As, Type: c.kind})
			continue
		}
		c.walk(func(field, kind string) {
			out = append(out, schemas.MappedField{Column: c.Name, Field: field, Type: kind})
		})
	}
	return out
}

// Clashes compares a mapping's Fields with the fields that Iterable has, as in the answer of
// GET /api/users/getFields: type by name. Clashes are in the order of the columns.
func Clashes(fields []schemas.MappedField, existing map[string]string) []Clash {
	var out []Clash
	for _, f := range fields {
		theirs, ok := existing[f.Field]
		if !ok || f.Type == "" {
			continue
		}
		fits, lossy := fit(f.Type, strings.ToLower(theirs))
		if !fits || lossy {
			out = append(out, Clash{Column: f.Column, Field: f.Field, Ours: f.Type, Existing: theirs, Lossy: lossy})
		}
	}
	return out
}

// NewFields returns the names of a mapping's Fields that Iterable does not have yet. It has
// an object where it has a field inside.
func NewFields(fields []schemas.MappedField, existing map[string]string) []string {
	known := map[string]bool{}
	for name := range existing {
		for known[name] = true; strings.Contains(name, "."); known[name] = true {
			name = name[:strings.LastIndexByte(name, '.')]
		}
	}
	var out []string
	for _, f := range fields {
		if !known[f.Field] {
			known[f.Field] = true
			out = append(out, f.Field)
		}
	}
	return out
}

// fit reports whether values of one kind can go into a field of a type, given in
// lower case. An unknown type fits.
func fit(kind, existing string) (fits, lossy bool) {
	switch existing {
	case "integer", "int":
		existing = KindLong
	case "float", "number":
		existing = KindDouble
	case "bool":
		existing = KindBoolean
	case "text", "keyword":
		existing = KindString
	case "nested", "geo_location":
		existing = KindObject
	}
	switch existing {
	case KindString, KindLong, KindDouble, KindBoolean, KindDate, KindObject:
	default:
		return true, false
	}
	if kind == KindDouble && existing == KindLong {
		return true, true
	}
	return kind == existing || kind == KindLong && existing == KindDouble ||
		kind == KindDate && existing == KindString, false // a date goes as text
}

// walk visits the column's field and the fields inside it.
func (c *column) walk(visit func(field, kind string)) {
	visit(c.As, c.kind)
	if c.Forced == "" || c.Forced == forceObject || c.Forced == forceArray {
		walkInside(c.As, c.Type, visit)
	}
}

func walkInside(path string, dt arrow.DataType, visit func(field, kind string)) {
	switch dt := columnar.Decoded(dt).(type) {
	case *arrow.MapType: // its fields are named by the rows
	case arrow.ListLikeType:
		walkInside(path, dt.Elem(), visit)
	case *arrow.StructType:
		for _, f := range dt.Fields() {
			inner := path + "." + f.Name
			if kind, err := kindOf(f.Type, "", 0); err == nil {
				visit(inner, kind)
			}
			walkInside(inner, f.Type, visit)
		}
	}
}
