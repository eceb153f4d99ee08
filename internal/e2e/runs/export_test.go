package runs

import (
	"maps"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestASegmentBecomesAList runs generated segments of both formats, and holds
// the list against what the generator knows.
func TestASegmentBecomesAList(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"parquet", "arrow"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := world.New(t, sandbox.Config{}, true)
			expected, err := generate.Segment(t.Context(), generate.Options{
				Rows: 5000, Out: w.Path("segments"), Format: format, Files: 3, Bad: 0.1, Seed: 7,
			})
			if err != nil {
				t.Fatal(err)
			}
			name := "High-value «customers» / 100%"
			e := w.Export(name, "EmailAddress")
			e.Fields.List = []schemas.Field{{Column: "FirstName"}, {Column: "Address"}, {Column: "LifetimeValue", As: "ltv"}}
			r := w.Done(w.Run(e))
			list := w.List(name)
			if list.Digest != expected.Digest || int64(list.Size) != expected.Valid {
				t.Errorf("the list has %d members, digest %s; expected %d, %s", list.Size, list.Digest, expected.Valid, expected.Digest)
			}
			if r.Manifest.Read != expected.Rows || r.Upload.Sent != expected.Valid || r.Manifest.Duplicates != expected.Duplicates ||
				!maps.Equal(r.Rejected, expected.Rejected) {
				t.Errorf("reported %+v, expected %+v", r, expected)
			}
			if !r.ListCreated || r.ListID != list.ID || r.ListSize != expected.Valid || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "Iterable created the fields ") {
				t.Errorf("reported list %d (created: %v) of %d, warnings %v", r.ListID, r.ListCreated, r.ListSize, r.Warnings)
			}
			if r.Info.Files != 3 || r.Info.Rows != expected.Rows {
				t.Errorf("reported %+v of the files", r.Info)
			}
			w.RejectsAre(r, expected)
			w.NothingIsLeft()
		})
	}
}
