package console

import (
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func TestSpeed(t *testing.T) {
	const reading, sending = schemas.ActivityStageSegment, schemas.ActivityUploadBatches
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var p speed
	for _, c := range []struct {
		second         float64
		step           string
		handled, total int64
		want           string
	}{
		{0, reading, 0, 100_000, "0 of 100,000"},
		{0.5, reading, 40_000, 100_000, "40,000 of 100,000"}, // too soon for a rate
		{1, reading, 80_000, 100_000, "80,000 of 100,000, 80,000/s, 0s left"},
		{2, sending, 0, 50_000, "0 of 50,000"}, // another step
		{4, sending, 10_000, 50_000, "10,000 of 50,000, 5,000/s, 8s left"},
		{12, sending, 10_000, 50_000, "10,000 of 50,000, 1,000/s, 40s left"},
		{34, sending, 10_000, 50_000, "10,000 of 50,000, 0/s"},      // only the last half a minute counts
		{35, sending, 8_000, 50_000, "8,000 of 50,000"},             // it starts over
		{37, sending, 9_000, -1, "9,000, 500/s"},                    // the total is not known
		{39, sending, 50_000, 50_000, "50,000 of 50,000, 10,500/s"}, // nothing is left
		{40, schemas.ActivityCommitSnapshot, 50_000, 50_000, ""},    // nothing is counted
		{3700, sending, 0, 500_000, "0 of 500,000"},                 //
		{3701, sending, 100, 500_000, "100 of 500,000, 100/s, 1h23m19s left"},
	} {
		p.see(start.Add(time.Duration(c.second*float64(time.Second))), c.step, c.handled)
		s := operate.SegmentView{Handled: c.handled, Total: &c.total}
		s.State, s.Step = schemas.StateRunning, c.step
		if got := p.counts(s); got != c.want {
			t.Errorf("after %v s: %q, want %q", c.second, got, c.want)
		}
	}
}
