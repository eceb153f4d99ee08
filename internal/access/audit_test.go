package access

import (
	"testing"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func TestAuditTrail(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	g, err := New(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if none, err := g.Trail(t.Context(), time.Time{}); err != nil || len(none) != 0 {
		t.Fatalf("an empty trail: %v, %v", none, err)
	}
	at := time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)
	add := func(id string, e schemas.AuditEntry) {
		t.Helper()
		if err := g.Audit(t.Context(), id, e); err != nil {
			t.Fatal(err)
		}
	}
	ran := schemas.AuditEntry{At: at, Who: "ann", What: schemas.AuditRan, Export: "Spring", RunID: "r1"}
	add("run r1", ran)
	add("run r1", ran) // a retry of the activity
	add("", schemas.AuditEntry{At: at.Add(2 * time.Hour), Who: "bob", What: schemas.AuditApproved, Details: "10 of the 18 members"})
	add("", schemas.AuditEntry{At: at.Add(2 * time.Hour), Who: "bob", What: schemas.AuditSearched})
	add("", schemas.AuditEntry{Who: "eve", What: schemas.AuditPaused}) // now
	all, err := g.Trail(t.Context(), time.Time{})
	if err != nil || len(all) != 4 || all[0] != ran || all[1].What != schemas.AuditApproved || all[2].What != schemas.AuditSearched || all[3].Who != "eve" || all[3].At.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
	march, err := g.Trail(t.Context(), at.Add(time.Hour))
	if err != nil || len(march) != 3 || march[0].Who != "bob" {
		t.Errorf("%+v, %v", march, err)
	}
	if files, err := root.List(t.Context(), "audit/2026-02"); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
