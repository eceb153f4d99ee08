package console

import (
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

func TestCheckShowsTheLists(t *testing.T) {
	var out strings.Builder
	Check(&out, Checked{ExportReport: schemas.ExportReport{
		Segment: "In {Country}", Manifest: schemas.Manifest{Read: 1300, Filtered: 90}, Warnings: []string{"7 rows have no value"},
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
}
