package runs

import (
	"fmt"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestStartsThatTemporalMissed stops Temporal at a scheduled start and starts it again too late
// for one export, and in time for another one.
func TestStartsThatTemporalMissed(t *testing.T) {
	t.Parallel()
	w := &world.World{T: t, Dir: t.TempDir(), Sandbox: world.NewSandbox(t, sandbox.Config{Fast: true})} // nothing is sent
	o := devstack.Options{FrontendAddr: "127.0.0.1:0", DataDir: w.Path("temporal")}
	w.StartTemporalWith(o)
	start := time.Now().UTC().Truncate(time.Minute).Add(2 * time.Minute) // Temporal has stopped by then
	timing := schemas.Timing{Cron: schemas.OneOrMore{fmt.Sprintf("%d %d * * *", start.Minute(), start.Hour())}, CatchUp: schemas.Duration(time.Hour)}
	short := timing
	short.CatchUp = schemas.Duration(10 * time.Second) // Temporal's least
	madeUp, missed := w.Export("Made up", "email"), w.Export("Missed", "email")
	madeUp.Schedule.Own, missed.Schedule.Own = &timing, &short
	w.Apply(schemas.Exports{Exports: []schemas.Export{madeUp, missed}})
	if err := w.Stack.Stop(); err != nil {
		t.Fatal(err)
	}
	if !time.Now().Before(start) {
		t.Fatalf("Temporal was still running at %s, when the start was due", start)
	}
	time.Sleep(time.Until(start.Add(2 * time.Duration(short.CatchUp)))) // until the start has been missed
	w.StartTemporalWith(o)
	scheduled := func(export string) error {
		_, err := w.Client.DescribeWorkflowExecution(t.Context(), schemas.ScheduledWorkflowID(export)+"-"+start.Format(time.RFC3339), "")
		return err
	}
	w.Until("the start is made up for", func() bool { return scheduled("Made up") == nil })
	w.Until("the other one is missed", func() bool {
		d, err := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.ScheduleID("Missed")).Describe(t.Context())
		return err == nil && d.Info.NumActionsMissedCatchupWindow == 1
	})
	if err, ok := scheduled("Missed").(*serviceerror.NotFound); !ok {
		t.Errorf("it was started: %v", err)
	}
}

// TestJitter has Temporal delay the starts of a schedule.
func TestJitter(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, false) // nothing is sent
	e := w.Export("Delayed", "email")
	const jitter = time.Hour
	e.Schedule.Own = &schemas.Timing{Every: "day", At: schemas.OneOrMore{"04:00"}, TimeZone: "Europe/Oslo", Jitter: schemas.Duration(jitter)}
	w.Apply(schemas.Exports{Exports: []schemas.Export{e}})
	d, err := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.ScheduleID("Delayed")).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	different := map[time.Duration]bool{}
	for _, at := range d.Info.NextActionTimes {
		at = at.In(zone)
		late := at.Sub(time.Date(at.Year(), at.Month(), at.Day(), 4, 0, 0, 0, zone))
		if late < 0 || late > jitter {
			t.Errorf("a start at %s", at)
		}
		different[late] = true
	}
	if len(different) < 2 {
		t.Errorf("the starts are at %v", d.Info.NextActionTimes)
	}
}
