package mapping

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/schemas"
)

// Clash is a field that Iterable has already, with another type. A field's type
// never changes there: values that can't be turned into it are refused.
type Clash struct {
	// Column is the column's name in the segment; Field is the field's in
	// Iterable, a path such as address.city inside a struct.
	Column, Field string
	// Ours is the type that the column's values have, Existing the field's, both
	// by Iterable's names.
	Ours, Existing string
	// Lossy is true where Iterable may take the values and cut off their
	// fractions: doubles for a long.
	Lossy bool
}

// String tells a person about the clash, and the way out.
func (c Clash) String() string {
	if c.Lossy {
		return fmt.Sprintf("column %s has fractions, and the field %s holds integers (long) in Iterable: fractions may be cut off or refused; send it as another field with as", c.Column, c.Field)
	}
	return fmt.Sprintf("column %s would be sent as %s, but the field %s is %s in Iterable, and Iterable refuses values of another type; send it as another field with as, or set type", c.Column, c.Ours, c.Field, c.Existing)
}

// IterableTypes is what Iterable makes of each field if it does not have it yet:
// one of the Kind constants by the field's name. Fields inside structs are there
// too, by their paths. An array has the type of its elements, as in Iterable.
// Fields whose type only the values decide are left out.
func (m *Mapper) IterableTypes() map[string]string {
	types := map[string]string{}
	for _, c := range m.columns {
		c.walk(func(field, kind string) { types[field] = kind })
	}
	return types
}

// Clashes compares the mapping with the fields that Iterable has, as in the
// answer of GET /api/users/getFields: type by name. It goes through the columns
// in their order.
func (m *Mapper) Clashes(existing map[string]string) []Clash {
	return Clashes(m.Fields(), existing)
}

// Fields is what IterableTypes gives, in the order of the columns and with their
// names.
func (m *Mapper) Fields() []schemas.MappedField {
	var out []schemas.MappedField
	for _, c := range m.columns {
		c.walk(func(field, kind string) {
			out = append(out, schemas.MappedField{Column: c.Name, Field: field, Type: kind})
		})
	}
	return out
}

// Clashes compares a mapping's Fields with the fields that Iterable has.
func Clashes(fields []schemas.MappedField, existing map[string]string) []Clash {
	var out []Clash
	for _, f := range fields {
		theirs, ok := existing[f.Field]
		if !ok {
			continue
		}
		fits, lossy := fit(f.Type, strings.ToLower(theirs))
		if !fits || lossy {
			out = append(out, Clash{Column: f.Column, Field: f.Field, Ours: f.Type, Existing: theirs, Lossy: lossy})
		}
	}
	return out
}

// fit tells whether values of one kind can go into a field of a type, given in
// lower case. A type that is not known here is not held against the column.
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
	if c.kind != KindUnknown {
		visit(c.As, c.kind)
	}
	if c.Forced == "" || c.Forced == forceObject || c.Forced == forceArray {
		walkInside(c.As, c.Type, visit)
	}
}

func walkInside(path string, dt arrow.DataType, visit func(field, kind string)) {
	switch dt := dt.(type) {
	case *arrow.DictionaryType:
		walkInside(path, dt.ValueType, visit)
	case *arrow.RunEndEncodedType:
		walkInside(path, dt.Encoded(), visit)
	case arrow.ExtensionType:
		walkInside(path, dt.StorageType(), visit)
	case *arrow.MapType: // its fields are named by the rows
	case arrow.ListLikeType:
		walkInside(path, dt.Elem(), visit)
	case *arrow.StructType:
		for _, f := range dt.Fields() {
			inner := path + "." + f.Name
			if kind, err := kindOf(f.Type, "", 0); err == nil && kind != KindUnknown {
				visit(inner, kind)
			}
			walkInside(inner, f.Type, visit)
		}
	}
}
