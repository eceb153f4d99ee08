package operate

import (
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// TestARunThatHasLooked holds states of a run under way, and whether newer data is for another
// run.
func TestARunThatHasLooked(t *testing.T) {
	segment := func(state string, looked time.Time) SegmentView {
		return SegmentView{Progress: schemas.Progress{State: state, Report: schemas.ExportReport{Info: schemas.SegmentInfo{LookedAt: looked}}}}
	}
	waits := segment(schemas.StateAwaitingData, time.Time{})
	for name, c := range map[string]struct {
		state    string
		segments []SegmentView
		want     bool
	}{
		"has just begun":                   {schemas.StateRunning, nil, false},
		"its segments begin":               {schemas.StateRunning, []SegmentView{segment(schemas.StateRunning, time.Time{})}, false},
		"waits for data":                   {schemas.StateAwaitingData, []SegmentView{waits, waits}, false},
		"an operator is asked for data":    {schemas.StateWaiting, []SegmentView{segment(schemas.StateWaiting, time.Time{})}, false},
		"sends":                            {schemas.StateRunning, []SegmentView{segment(schemas.StateRunning, due)}, true},
		"an operator is asked for changes": {schemas.StateWaiting, []SegmentView{segment(schemas.StateWaiting, due)}, true},
		"one segment has looked":           {schemas.StateRunning, []SegmentView{waits, segment(schemas.StateDone, due)}, true},
		"one segment was skipped":          {schemas.StateRunning, []SegmentView{waits, segment(schemas.StateSkipped, time.Time{})}, true},
		"has ended":                        {schemas.StateDone, nil, true},
	} {
		if got := (View{State: c.state, Segments: c.segments}).looked(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
