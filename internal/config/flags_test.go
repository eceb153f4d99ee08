package config

import (
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// TestWhatFlagsDefineIsCheckedLikeAFile: starter run and starter check refuse what
// exports.yaml refuses.
func TestWhatFlagsDefineIsCheckedLikeAFile(t *testing.T) {
	for want, change := range map[string]func(*schemas.Export){
		"": func(*schemas.Export) {},
		`the name "S1 " begins or ends with white space`: func(e *schemas.Export) { e.Segments[0].Name = "S1 " },
		"looks like the ID of a run":                     func(e *schemas.Export) { e.Name = "01a2b3c4-0000-7000-8000-000000000001" },
		"means a folder":                                 func(e *schemas.Export) { e.Name = ".." },
		"column":                                         func(e *schemas.Export) { e.Fields.List = []schemas.Field{{Column: ""}} },
	} {
		e := schemas.Export{Name: "S1", Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: "S1", Source: "/srv/s1"}}}
		change(&e)
		err := CheckExports(&schemas.Exports{Exports: []schemas.Export{e}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "exports:") {
			t.Errorf("it names a file that does not exist: %v", err)
		}
	}
}
