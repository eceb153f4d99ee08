package console

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestAWaitForDataNamesItsZone: its time is that of this machine, and the reason has times in UTC.
func TestAWaitForDataNamesItsZone(t *testing.T) {
	until := time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)
	want := "waiting for data: no _SUCCESS; goes on by itself, and asks what to do at " + until.Local().Format("2006-01-02 15:04:05 MST")
	if got := awaitsData(schemas.DataWait{Why: "no _SUCCESS", Until: until, Then: schemas.ThenAsk}); got != want || !strings.HasSuffix(got, until.Local().Format(" MST")) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestARunSaysWhatIsTriedAgain, of the run as a whole and of a segment.
func TestARunSaysWhatIsTriedAgain(t *testing.T) {
	v := operate.View{Run: operate.Run{Export: "Spring"}, Retrying: &operate.Retrying{Step: "WriteRunReport", Attempt: 2, Message: "disk full"}}
	v.Segments = []operate.SegmentView{{Retrying: &operate.Retrying{Step: "StageSegment", Attempt: 3, Message: "connection refused"}}}
	v.Segments[0].Run.Segment = "VIP"
	var out strings.Builder
	Segments(&out, v)
	for _, want := range []string{`"Spring": WriteRunReport has been failing since `, "(attempt 2): disk full\n", `"VIP": StageSegment has been failing since `, "(attempt 3): connection refused\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}
