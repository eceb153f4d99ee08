package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestTemporalIsDownAtAStart kills Temporal before two exports are due, and starts it again
// afterwards: the start of Kept is still within its catch-up and is made up for. That of Lost is
// not, so it is reported as overdue until a run is done.
func TestTemporalIsDownAtAStart(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for up to a minute until a schedule starts")
	}
	t.Parallel()
	w, temporal := world.NewApart(t, sandbox.Config{Fast: true}, "{}") // the lag of new lists is not the point
	w.StartHost()
	const catchUp = 10 * time.Second // the least
	kept, lost := w.Of("Kept"), w.Of("Lost")
	for _, e := range []*schemas.Export{&kept, &lost} {
		w.People(e.Name, 1, 5, 1)
		e.Fields = schemas.Fields{} // new fields would be asked about
	}
	o := &operate.Session{Client: w.Client, Namespace: "default"}
	found := func(look schemas.LateRuns) string {
		var events []string
		for _, f := range look.Found {
			events = append(events, fmt.Sprintf("%s %s: %s", f.Export, f.Event, f.Late.Message(f.Event)))
		}
		return strings.Join(events, "; ")
	}

	var due time.Time
	var before schemas.LateRuns
	for left := time.Duration(0); left < 5*time.Second; left = time.Until(due) {
		due = time.Now().UTC().Add(10*time.Second + time.Minute - 1).Truncate(time.Minute)
		daily := schemas.OneOrMore{due.Format("4 15 * * *")}
		kept.Schedule.Own, lost.Schedule.Own = &schemas.Timing{Cron: daily}, &schemas.Timing{Cron: daily, CatchUp: schemas.Duration(catchUp)}
		w.Apply(schemas.Exports{Exports: []schemas.Export{kept, lost}})
		w.Until("a look knows what is due", func() bool {
			var err error
			before, err = o.FindLate(t.Context(), schemas.LateRuns{}, time.Now(), func(string) {})
			return err == nil && len(before.Exports) == 2
		})
	}
	temporal.Kill()
	for name, watched := range before.Exports {
		if !watched.Due.Equal(due) {
			t.Fatalf("%s is due at %s, want %s", name, watched.Due, due)
		}
	}
	time.Sleep(time.Until(due.Add(catchUp + 2*time.Second)))
	temporal.Start()

	w.Until("the start of Kept is made up for", func() bool {
		v, ok := w.Last("Kept")
		return ok && v.State == schemas.StateDone
	})
	describe := func(name string) (*client.ScheduleDescription, error) {
		return w.Client.ScheduleClient().GetHandle(t.Context(), schemas.ScheduleID(name)).Describe(t.Context())
	}
	w.Until("Temporal has missed the start of Lost", func() bool {
		d, err := describe("Lost")
		return err == nil && d.Info.NumActionsMissedCatchupWindow == 1
	})
	if d, err := describe("Kept"); err != nil || d.Info.NumActionsMissedCatchupWindow != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := w.Client.DescribeWorkflowExecution(t.Context(), schemas.ScheduledWorkflowID("Kept")+due.Format("-"+time.RFC3339), ""); err != nil {
		t.Error(err)
	}
	if v, ok := w.Last("Lost"); ok {
		t.Errorf("Lost was started: %+v", v)
	}
	look, err := o.FindLate(t.Context(), before, due.Add(catchUp+2*time.Minute), func(string) {})
	if want := "Lost overdue: the run that was due at " + due.Format(schemas.LateTime) + " has not begun"; err != nil || found(look) != want {
		t.Errorf("found %q, want %q, %v", found(look), want, err)
	}
	w.Done(w.Run(lost))
	w.Until("Lost has recovered", func() bool {
		next, err := o.FindLate(t.Context(), look, time.Now(), func(string) {})
		return err == nil && found(next) == "Lost recovered: a run is done again"
	})
}
