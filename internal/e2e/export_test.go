package e2e

import (
	"maps"
	"testing"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestASegmentBecomesAList runs generated segments of both formats, and holds
// the list against what the generator knows.
func TestASegmentBecomesAList(t *testing.T) {
	for _, format := range []string{"parquet", "arrow"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, sandbox.Config{}, true)
			expected, err := generate.Segment(t.Context(), generate.Options{
				Rows: 5000, Out: w.path("segments"), Format: format, Files: 3, Bad: 0.1, Seed: 7,
			})
			if err != nil {
				t.Fatal(err)
			}
			name := "High-value «customers» / 100%"
			e := w.export(name, "EmailAddress")
			e.Fields.List = []schemas.Field{{Column: "FirstName"}, {Column: "Address"}, {Column: "LifetimeValue", As: "ltv"}}
			r := w.done(w.run(e))
			list := w.list(name)
			if list.Digest != expected.Digest || int64(list.Size) != expected.Valid {
				t.Errorf("the list has %d members, digest %s; expected %d, %s", list.Size, list.Digest, expected.Valid, expected.Digest)
			}
			if r.Manifest.Read != expected.Rows || r.Upload.Sent != expected.Valid || r.Manifest.Duplicates != expected.Duplicates ||
				!maps.Equal(r.Rejected, expected.Rejected) {
				t.Errorf("reported %+v, expected %+v", r, expected)
			}
			if !r.ListCreated || r.ListID != list.ID || r.ListSize != expected.Valid || len(r.Warnings) > 0 {
				t.Errorf("reported list %d (created: %v) of %d, warnings %v", r.ListID, r.ListCreated, r.ListSize, r.Warnings)
			}
			if r.Info.Files != 3 || r.Info.Rows != expected.Rows {
				t.Errorf("reported %+v of the files", r.Info)
			}
			w.rejectsAre(r, expected)
			w.nothingIsLeft()
		})
	}
}

// rejectsAre compares the rejects file with what is expected.
func (w *world) rejectsAre(r schemas.ExportReport, expected generate.Expected) {
	w.t.Helper()
	counts := map[schemas.Reason]int64{}
	last, seen := rejects.Reject{}, map[string]bool{}
	for _, row := range w.readRejects(r) {
		counts[row.Reason]++
		if row.File != last.File && seen[row.File] || row.File == last.File && row.Row <= last.Row {
			w.t.Errorf("%s row %d stands after %s row %d", row.File, row.Row, last.File, last.Row)
		}
		last, seen[row.File] = row, true
	}
	want := maps.Clone(expected.Rejected)
	want[schemas.ReasonDuplicate] = expected.Duplicates
	if !maps.Equal(counts, want) {
		w.t.Errorf("the rejects file has %v, expected %v", counts, want)
	}
}

func (w *world) readRejects(r schemas.ExportReport) []rejects.Reject {
	w.t.Helper()
	if r.Rejects == "" {
		return nil
	}
	file, err := w.root.Open(w.t.Context(), r.Rejects)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	reader, err := rejects.Open(file, file.Size())
	if err != nil {
		w.t.Fatal(err)
	}
	defer reader.Close()
	var out []rejects.Reject
	for row, ok := reader.Next(); ok; row, ok = reader.Next() {
		out = append(out, row)
	}
	if reader.Err() != nil {
		w.t.Fatal(reader.Err())
	}
	return out
}

// nothingIsLeft fails the test if staged data is still there.
func (w *world) nothingIsLeft() {
	w.t.Helper()
	left, err := w.root.List(w.t.Context(), "staging")
	if err != nil || len(left) > 0 {
		w.t.Errorf("left in staging: %v, %v", left, err)
	}
}
