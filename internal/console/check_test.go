package console

import (
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

func TestCheckShowsTheLists(t *testing.T) {
	var out strings.Builder
	Check(&out, Checked{ExportReport: schemas.ExportReport{
		Segment: "In {Country}", Manifest: schemas.Manifest{Read: 1300, Filtered: 90, Skipped: &schemas.Skipped{Rows: 81, Files: 4, RowGroups: 5}}, Warnings: []string{"7 rows have no value"},
		Divided: &schemas.Divided{
			Lists:        []schemas.ListPart{{List: "In NO", Rows: 1200}, {List: "In SE", Vanished: true}},
			Kept:         []string{"In DK"},
			WithoutValue: 7, HeldOut: 3,
		},
	}})
	for _, want := range []string{`"In {Country}" has 2 lists:`, "1,200", `"In SE", which no row is for any more`, `"In DK", which no row is for any more, stays as it is`,
		"without a value: on no list", "held out", "1,300", "Warning: 7 rows have no value"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out.String())
		}
	}
	shows(t, out.String(), "filtered 90", "filtered without reading 81", "files not opened 4", "row groups not read 5", "without a value: on no list 7", "held out 3")
}

// TestCheckShowsWhoIsNotSent: by a condition, by statistics, and by a suppression list.
func TestCheckShowsWhoIsNotSent(t *testing.T) {
	var out strings.Builder
	Check(&out, Checked{ExportReport: schemas.ExportReport{
		Segment: "Customers", ListID: 7, Check: &schemas.CheckResult{},
		Manifest: schemas.Manifest{
			Read: 1300, Filtered: 901, Skipped: &schemas.Skipped{Rows: 802, Files: 4, RowGroups: 5}, Removals: 33, Suppressed: 17, SuppressedRemovals: 12,
		},
	}})
	shows(t, out.String(), "rows read 1,300", "filtered 901", "filtered without reading 802", "files not opened 4", "row groups not read 5",
		"remove 33", "leave out: suppressed 17", "remove: suppressed, of those above 12")
}

// shows fails the test if a text lacks one of some lines. How they are aligned does not count.
func shows(t *testing.T, text string, lines ...string) {
	t.Helper()
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\n' || r == '│' }), " "))
	}
	for _, want := range lines {
		if !slices.Contains(all, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}
