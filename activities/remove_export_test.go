package activities

import (
	"os"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestRemovalDeletesWhatIsKept of an export of one connection, and nothing of another's
// of the same name.
func TestRemovalDeletesWhatIsKept(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.RemoveExport, activity.RegisterOptions{Name: schemas.ActivityRemoveExport})
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r1"}
	snapshot := filepath.Join(b.dir, filepath.FromSlash(ledgertest.Remember(t, b.Ledger(), run, 1, "ada@example.com")))
	if err := b.Access.Claim(t.Context(), "Spring", "sandbox", "ann"); err != nil {
		t.Fatal(err)
	}
	remove := func(connection string) (out schemas.RemoveAnswer, err error) {
		v, err := b.env.ExecuteActivity(schemas.ActivityRemoveExport, schemas.RemoveInput{Export: schemas.Export{Name: "Spring", Connection: connection}})
		if err == nil {
			err = v.Get(&out)
		}
		return out, err
	}
	for _, connection := range []string{"", "nowhere"} {
		_, err := remove(connection)
		isOfType(t, err, schemas.ErrorNameTaken)
	}
	if _, err := os.Stat(snapshot); err != nil {
		t.Fatal(err)
	}
	out, err := remove("sandbox")
	if err != nil || out.Files == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := os.Stat(snapshot); err == nil {
		t.Error("the snapshot is left")
	}
	if _, kept, err := b.Access.Owner(t.Context(), "Spring"); kept || err != nil {
		t.Errorf("the name is still taken: %v", err)
	}
}
