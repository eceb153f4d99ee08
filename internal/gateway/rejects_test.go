package gateway

import (
	"path"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// TestRejectsOfARunThatWaits are those that the attempt at staging has found: a guardrail about them
// asks a person, who wants to see them.
func TestRejectsOfARunThatWaits(t *testing.T) {
	t.Parallel()
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	run := schemas.RunRef{Connection: "marketing", Export: "Spring", RunID: "r1", Segment: "High-value"}
	s := operate.SegmentView{}
	s.Report.Manifest.Attempt = "751df2e03641e0378531f9574f9d6662"
	key := path.Join(dataroot.StagedDir(run, s.Report.Manifest.Attempt), dataroot.RejectsFile)
	s.Report.Manifest.Rejects = key
	w, err := root.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	out := rejects.NewWriter(w)
	if err := out.Add(rejects.Reject{File: "a.parquet", Row: 3, Column: "Mail", Value: []byte("no address"), Reason: schemas.ReasonSyntax}); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []Reject
	left := 0
	err = rejectsOf(t.Context(), root, run, s, RejectsRequest{}, &left, func(r Reject) error {
		got = append(got, r)
		return nil
	})
	if err != nil || len(got) != 1 || got[0].Row != 3 || *got[0].Value != "no address" {
		t.Errorf("%+v, %v", got, err)
	}
}
