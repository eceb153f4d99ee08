package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
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

// TestRemovalFailsIfItCannotTellWhoseTheTrialsAre: it must not report data as deleted that stays.
func TestRemovalFailsIfItCannotTellWhoseTheTrialsAre(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.RemoveExport, activity.RegisterOptions{Name: schemas.ActivityRemoveExport})
	remove := func() error {
		_, err := b.env.ExecuteActivity(schemas.ActivityRemoveExport, schemas.RemoveInput{Export: schemas.Export{Name: "Spring", Connection: "sandbox"}})
		return err
	}
	record := dataroot.NameKey(schemas.TrialName("Spring"))
	if err := b.Root.WriteJSON(t.Context(), record, schemas.NameRecord{Export: "damaged", Connection: "sandbox"}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with a record that can't be read: %v", err)
	}
	if err := b.Root.WriteJSON(t.Context(), record, schemas.NameRecord{Export: schemas.TrialName("Spring"), Connection: "other"}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Errorf("with the trials of another connection: %v", err)
	}
	if _, kept, err := b.Access.Owner(t.Context(), schemas.TrialName("Spring")); !kept || err != nil {
		t.Errorf("their name is released: %v", err)
	}
}

// TestRemovalKeepsAListInUse, says why, and leaves nothing in the data root.
func TestRemovalKeepsAListInUse(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.RemoveExport, activity.RegisterOptions{Name: schemas.ActivityRemoveExport})
	connection, err := b.Connections.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	in := wanted
	in.Host, in.Run, in.Name = access.Host(connection), schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "VIP", RunID: "r1"}, "VIP"
	list, err := b.ensure(in)
	if err != nil {
		t.Fatal(err)
	}
	b.sandbox.SetInUse(list.ID, true)
	snapshot := filepath.Join(b.dir, filepath.FromSlash(ledgertest.Remember(t, b.Ledger(), in.Run, 1, "ada@example.com")))
	v, err := b.env.ExecuteActivity(schemas.ActivityRemoveExport, schemas.RemoveInput{
		Export: schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "VIP"}}}, DeleteLists: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out schemas.RemoveAnswer
	if err := v.Get(&out); err != nil {
		t.Fatal(err)
	}
	if len(out.Lists) != 1 || out.Lists[0].Deleted || !strings.Contains(out.Lists[0].Why, "a campaign or a journey uses list") || len(b.named("VIP")) != 1 {
		t.Errorf("%+v", out)
	}
	if _, err := os.Stat(snapshot); err == nil {
		t.Error("the snapshot is left")
	}
}

// TestRemovalDeletesTheListsOfTrials, whether the export is removed or only its trials, but no list
// that another export fills by now.
func TestRemovalDeletesTheListsOfTrials(t *testing.T) {
	for _, removed := range []string{"Spring", schemas.TrialName("Spring")} {
		b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
		b.env.RegisterActivityWithOptions(b.RemoveExport, activity.RegisterOptions{Name: schemas.ActivityRemoveExport})
		connection, err := b.Connections.Get("sandbox")
		if err != nil {
			t.Fatal(err)
		}
		in := wanted
		in.Host = access.Host(connection)
		fill := func(export, list string) {
			t.Helper()
			in.Run.Export, in.Run.Segment, in.Name, in.TakeFrom = export, list, list, ""
			_, err := b.ensure(in)
			var asked *temporal.ApplicationError
			if errors.As(err, &asked) && asked.Type() == schemas.ErrorListOwned {
				in.TakeFrom = asked.Message()
				_, err = b.ensure(in)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		fill("Spring", "High-value")
		fill("Spring", "Low-value")
		fill(schemas.TrialName("Spring"), "High-value (trial)")
		fill(schemas.TrialName("Spring"), "Testers")
		fill(schemas.TrialName("Spring"), "Friends")
		fill("Autumn", "Friends")   // approved
		fill("Autumn", "Low-value") // approved
		_, err = b.env.ExecuteActivity(schemas.ActivityRemoveExport, schemas.RemoveInput{
			Export:      schemas.Export{Name: removed, Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}, {Name: "Low-value"}}},
			DeleteLists: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		for list, want := range map[string]bool{
			"High-value": schemas.IsTrial(removed), "Low-value": true, "High-value (trial)": false, "Testers": false, "Friends": true,
		} {
			if left := len(b.named(list)) == 1; left != want {
				t.Errorf("after the removal of %q the list %q is left: %t, want %t", removed, list, left, want)
			}
		}
	}
}

// TestATrialAndARemovalExcludeEachOther: whichever begins second sees the first, so that a trial
// leaves nothing of an export that was removed.
func TestATrialAndARemovalExcludeEachOther(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.RemoveExport, activity.RegisterOptions{Name: schemas.ActivityRemoveExport})
	b.env.RegisterActivityWithOptions(b.Authorize, activity.RegisterOptions{Name: schemas.ActivityAuthorize})
	running := map[string]string{}
	b.Executions = func(_ context.Context, id, _ string) (Execution, error) {
		if running[id] == "" {
			return Execution{}, fmt.Errorf("ask Temporal: %w", serviceerror.NewNotFound("no such workflow"))
		}
		return Execution{Running: running[id]}, nil
	}
	try := func() error {
		_, err := b.env.ExecuteActivity(schemas.ActivityAuthorize, schemas.AuthorizeInput{RunID: "r1", Input: schemas.RunInput{Export: schemas.Export{
			Name: schemas.TrialName("Spring"), Connection: "sandbox", Email: "Mail", Segments: []schemas.Segment{{Name: "Spring (trial)", Source: "/spring", Trial: &schemas.Trial{Limit: 1}}},
		}}})
		return err
	}
	remove := func() error {
		_, err := b.env.ExecuteActivity(schemas.ActivityRemoveExport, schemas.RemoveInput{Export: schemas.Export{Name: "Spring", Connection: "sandbox"}})
		return err
	}
	running[schemas.RunWorkflowID("Spring")] = schemas.WorkflowRunExport
	if err := try(); err != nil {
		t.Errorf("a trial during a run: %v", err)
	}
	running[schemas.RunWorkflowID("Spring")] = schemas.WorkflowRemoveExport
	isOfType(t, try(), schemas.ErrorConflict)
	running[schemas.RunWorkflowID(schemas.TrialName("Spring"))] = schemas.WorkflowRunExport
	isOfType(t, remove(), schemas.ErrorConflict)
	clear(running)
	if err := remove(); err != nil {
		t.Errorf("without a trial: %v", err)
	}
}

// TestRemovalDeletesListsThatRunsHaveEmptied: they are no longer known, but are the export's.
func TestRemovalDeletesListsThatRunsHaveEmptied(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	client, err := b.Clients.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]string{"In NO": "Spring", "in se": "Spring", "In DK": "Autumn", "Other": "Spring"} {
		if _, err := client.CreateList(t.Context(), name, description(id, "sandbox", of)); err != nil {
			t.Fatal(err)
		}
	}
	e := schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "In {Country}", ForEach: "Country"}}}
	if err := b.Root.WriteJSON(t.Context(), dataroot.ListsKey(schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "In {Country}"}), dividedLists{Lists: []string{"In NO"}}); err != nil {
		t.Fatal(err)
	}
	out, err := b.deleteLists(t.Context(), e)
	if err != nil || len(out) != 2 || !out[0].Deleted || !out[1].Deleted {
		t.Errorf("%+v, %v", out, err)
	}
}
