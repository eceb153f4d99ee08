package runs

import (
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

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
