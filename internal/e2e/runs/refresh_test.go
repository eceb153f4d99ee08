package runs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// refreshing is a world with exports that are refreshed together: First and Also begin, and the
// others are after them.
type refreshing struct {
	*world.World
	exports map[string]schemas.Export
	seen    int // refreshes that have ended
}

// TestRefreshes has refreshes begin while an export is paused, while a person's run is under way,
// and after an outage in which two of them were missed.
func TestRefreshes(t *testing.T) {
	t.Parallel()
	r := refreshing{World: world.New(t, sandbox.Config{Fast: true}, true), exports: map[string]schemas.Export{}} // the lag of new lists is not the point
	for name, after := range map[string][]string{"First": nil, "Also": nil, "Second": {"First", "Also"}, "Anyway": {"First"}} {
		r.People(name, 1, 5, 1)
		e := r.Of(name)
		e.Fields, e.After = schemas.Fields{}, after // new fields would be asked about
		if name == "Anyway" {
			e.AfterFailure = schemas.AfterRun
		}
		r.exports[name] = e
	}
	r.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: slices.Collect(maps.Values(r.exports))})
	r.missed()
	r.paused()
	r.personsRun()
}

// due triggers both schedules.
func (r *refreshing) due() {
	r.T.Helper()
	r.Trigger("Also")
	r.Trigger("First")
}

// ended waits for the ends of n more refreshes, one of which refreshes the exports. It compares
// what became of them. It returns the IDs of the runs and the other results.
func (r *refreshing) ended(n int, want map[string]string) (runs map[string]string, others []schemas.RefreshResult) {
	r.T.Helper()
	r.seen += n
	var all []schemas.RefreshResult
	r.Until(fmt.Sprintf("%d refreshes have ended", r.seen), func() bool {
		all = r.Refreshes()
		return len(all) >= r.seen
	})
	got, runs := map[string]string{}, map[string]string{}
	for _, out := range all[:n] {
		if len(out.Exports) == 0 {
			others = append(others, out)
		}
		for _, e := range out.Exports {
			got[e.Export] += strings.TrimSuffix(e.State+": "+e.Why, ": ")
			runs[e.Export] = e.RunID
		}
	}
	if !maps.Equal(got, want) {
		r.T.Errorf("refreshed %q, want %q", got, want)
	}
	return runs, others
}

// shown compares parts of the page in Temporal's UI of the newest refresh of a schedule.
func (r *refreshing) shown(export string, parts ...string) {
	r.T.Helper()
	list, err := r.Client.ListWorkflow(r.T.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: "default", Query: fmt.Sprintf("WorkflowType = %q AND WorkflowId STARTS_WITH %q", schemas.WorkflowRefresh, schemas.RefreshWorkflowID(export)+"-")})
	if err != nil || len(list.Executions) == 0 {
		r.T.Fatalf("no refresh of %q, %v", export, err)
	}
	detailsSay(r.World, list.Executions[0].Execution.WorkflowId, parts...)
}

// missed has Temporal start what two refreshes have missed, before there is a worker: only the
// later one runs the exports.
func (r *refreshing) missed() {
	r.T.Helper()
	r.Host.Stop()
	for _, name := range []string{"First", "Also"} {
		err := r.Client.ScheduleClient().GetHandle(r.T.Context(), schemas.ScheduleID(name)).Backfill(r.T.Context(), client.ScheduleBackfillOptions{
			Backfill: []client.ScheduleBackfill{{Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}},
		})
		if err != nil {
			r.T.Fatal(err)
		}
	}
	r.StartHost()
	_, others := r.ended(4, map[string]string{"First": "done", "Also": "done", "Second": "done", "Anyway": "done"})
	later := 0
	for _, out := range others {
		if strings.HasSuffix(out.Later, "-2024-02-29T04:00:00Z") {
			later++
		} else if out.Leader != "Also" {
			r.T.Errorf("%+v", out)
		}
	}
	if later != 2 {
		r.T.Errorf("%d refreshes were left out for a later one, want 2", later)
	}
}

// paused pauses First as starter pause does. Its schedule goes on, because of the exports after it.
func (r *refreshing) paused() {
	r.T.Helper()
	applied := func() operate.Applied {
		a, err := r.Operator.AppliedExport(r.T.Context(), "First")
		if err != nil {
			r.T.Fatal(err)
		}
		return a
	}
	if err := r.Operator.Pause(r.T.Context(), applied()); err != nil {
		r.T.Fatal(err)
	}
	if a := applied(); !a.Paused || a.Stopped {
		r.T.Errorf("paused: %+v", a)
	}
	const skipped = `"First" was not done: skipped`
	r.shown("Also", "| First |  | done |  |", "| Second | First, Also | done |  |")
	r.due()
	r.ended(2, map[string]string{"First": `skipped: "First" is paused`, "Also": "done", "Second": "skipped: " + skipped, "Anyway": "done: started although " + skipped})
	for name, want := range map[string]string{"First": `skipped: "First" is paused`, "Second": "skipped: " + skipped} {
		views, err := r.Operator.History(r.T.Context(), name, 1)
		if err != nil || views[0].State != schemas.StateSkipped || views[0].Error != want {
			r.T.Errorf("%s: %+v, %v", name, views, err)
		}
	}
	if err := r.Operator.Resume(r.T.Context(), applied()); err != nil {
		r.T.Fatal(err)
	}
	r.due()
	r.ended(2, map[string]string{"First": "done", "Also": "done", "Second": "done", "Anyway": "done"})
}

// personsRun has a run that a person started wait for an answer when the refresh is due.
func (r *refreshing) personsRun() {
	r.T.Helper()
	r.People("First", 1, 0, 1) // all leave
	v := r.Run(r.exports["First"])
	r.WaitsWith(v, schemas.ErrorGuardrail)
	r.due()
	r.Until("what runs anyway has run", func() bool {
		last, ok := r.Last("Anyway")
		return ok && last.StartedAt.After(v.StartedAt) && last.State == schemas.StateDone
	})
	if last, _ := r.Last("Second"); !last.StartedAt.Before(v.StartedAt) {
		r.T.Errorf("it did not wait: %+v", last)
	}
	r.shown("Also", "| Also |  | done |  |", "| Second | First, Also | "+schemas.StateUpstream+" |  |")
	r.Done(r.Answer(v, schemas.UpdateApprove))
	runs, _ := r.ended(2, map[string]string{
		"First": `done: a run of "First" was already under way`, "Also": "done", "Second": "done", "Anyway": `done: started although "First" waits for a person`,
	})
	if runs["First"] != v.Run.RunID {
		r.T.Errorf("the refresh went on with run %s, want %s", runs["First"], v.Run.RunID)
	}
	if last, _ := r.Last("Second"); !last.StartedAt.After(v.StartedAt) {
		r.T.Errorf("it did not run: %+v", last)
	}
}
