package runs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAScheduleAcrossTheChangesOfTheClocks has Temporal make the starts of three days in spring
// and one in autumn: what the clocks skip does not start, and the second start of an hour that
// they repeat sends nothing.
func TestAScheduleAcrossTheChangesOfTheClocks(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true) // the lag of new lists is not the point
	w.People("Night", 1, 10, 1)
	e := w.Of("Night")
	e.Fields = schemas.Fields{} // new fields would be asked about
	const name = "America/New_York"
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Every: "day", At: schemas.OneOrMore{"01:30", "02:30"}, TimeZone: name}, Exports: []schemas.Export{e}})
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	day := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, zone)
	}
	starts := func() (at []string) {
		all, err := w.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: "default", Query: fmt.Sprintf("WorkflowType = %q", schemas.WorkflowScheduledRun)})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all.Executions {
			_, when, _ := strings.Cut(e.Execution.WorkflowId, "Night-")
			at = append(at, when)
		}
		slices.Sort(at)
		return at
	}
	spring := []string{"2026-03-07T06:30:00Z", "2026-03-07T07:30:00Z", "2026-03-08T06:30:00Z", "2026-03-09T05:30:00Z", "2026-03-09T06:30:00Z"}
	autumn := []string{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"}
	for _, span := range []struct {
		from, to time.Time
		want     []string
	}{{day(3, 7, 0), day(3, 9, 12), spring}, {day(11, 1, 0), day(11, 1, 12), append(slices.Clone(spring), autumn...)}} {
		err := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.ScheduleID("Night")).Backfill(t.Context(), client.ScheduleBackfillOptions{
			Backfill: []client.ScheduleBackfill{{Start: span.from, End: span.to, Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Until("all starts have run", func() bool {
			views, err := w.Operator.History(t.Context(), "Night", 20)
			done := slices.DeleteFunc(views, func(v operate.View) bool { return v.State != schemas.StateDone })
			return err == nil && len(done) >= len(span.want)
		})
		if got := starts(); !slices.Equal(got, span.want) {
			t.Errorf("starts %v, want %v", got, span.want)
		}
	}
	views, err := w.Operator.History(t.Context(), "Night", 20)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range views { // newest first
		if sent := v.Segments[0].Report.Upload.Sent; (sent > 0) != (i == len(views)-1) {
			t.Errorf("run %d of %d sent %d", len(views)-i, len(views), sent)
		}
	}
}
