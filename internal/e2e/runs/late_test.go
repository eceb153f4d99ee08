package runs

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestLateRunsOfAWorkerThatWasDown stops the worker, lets a scheduled start pass, and starts it
// again: the export is overdue, and has recovered when its run is done.
func TestLateRunsOfAWorkerThatWasDown(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true) // the lag of new lists is not the point
	w.People("Down", 1, 5, 1)
	e := w.Of("Down")
	e.Fields = schemas.Fields{} // new fields would be asked about
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	o := &operate.Session{Client: w.Client, Namespace: "default"}
	look := func(before schemas.LateRuns, at time.Time) (schemas.LateRuns, string) {
		t.Helper()
		out, err := o.FindLate(t.Context(), before, at, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range out.Found {
			found = append(found, f.Event+" "+f.Export)
		}
		return out, strings.Join(found, ", ")
	}
	var state schemas.LateRuns
	var found string
	w.Until("Temporal lists the schedule", func() bool {
		state, found = look(schemas.LateRuns{}, time.Now())
		return len(state.Exports) == 1
	})
	// A worker that is down from the apply to after the first start.
	applied, err := o.AppliedExport(t.Context(), "Down")
	if err != nil {
		t.Fatal(err)
	}
	before := schemas.LateRuns{LookedAt: applied.Updated.Add(-time.Minute), Exports: map[string]schemas.Watched{}}
	if _, missed := look(before, applied.Next.Add(2*time.Hour)); missed != "overdue Down" {
		t.Fatalf("the first start was missed: %q", missed)
	}
	watched := state.Exports["Down"]
	if found != "" || watched.Due.IsZero() {
		t.Fatalf("at first %q, %+v", found, state)
	}
	watched.Due = time.Now().Add(-2 * time.Hour) // as if the start had been then
	state.Exports["Down"] = watched
	w.Host.Stop()
	w.Trigger("Down") // the start, which no worker takes
	if state, found = look(state, time.Now()); found != "overdue Down" {
		t.Fatalf("while the worker is down: %q", found)
	}
	if _, again := look(state, time.Now()); again != "" {
		t.Fatalf("told twice: %q", again)
	}
	w.StartHost()
	w.Until("the run is done and found", func() bool {
		state, found = look(state, time.Now())
		return found == "recovered Down"
	})

	// The same as the workers do it: by a schedule, whose last result the starter reads.
	h := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.LateRunsID)
	w.Until("it is scheduled", func() bool { return h.Trigger(t.Context(), client.ScheduleTriggerOptions{}) == nil })
	w.Until("a look has ended", func() bool {
		last, err := o.LastLook(t.Context())
		return err == nil && !last.Exports["Down"].Due.IsZero()
	})
	all, err := o.Applied(t.Context())
	if err == nil {
		err = o.Late(t.Context(), all)
	}
	if err != nil || len(all) != 1 || all[0].Late != "" {
		t.Errorf("%+v, %v", all, err)
	}
}
