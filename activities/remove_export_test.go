package activities

import (
	"os"
	"testing"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestARemovalGoesByTheSnapshotsConnection: not by what somebody says it is.
func TestARemovalGoesByTheSnapshotsConnection(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := schemas.RunRef{Export: "Spring", Segment: "Spring", RunID: "r1"}
	snapshot := b.remembers(t, run, 1, "ada@example.com")
	for _, connection := range []string{"", "nowhere"} {
		in := schemas.RemoveRequest{Export: schemas.Export{Name: "Spring", Connection: connection}}
		if _, err := b.removeExport(t.Context(), schemas.Person{Name: "ann", Role: schemas.RoleContributor}, in); err == nil {
			t.Errorf("a contributor has removed an export of administrators, as one over %q", connection)
		}
	}
	if _, err := os.Stat(snapshot); err != nil {
		t.Fatal(err)
	}
	out, err := b.removeExport(t.Context(), schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}, schemas.RemoveRequest{Export: schemas.Export{Name: "Spring"}})
	if err != nil || out.Files == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := os.Stat(snapshot); err == nil {
		t.Error("the snapshot is left")
	}
}
