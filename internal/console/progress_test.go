package console

import (
	"errors"
	"strings"
	"testing"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestProgressInLines shows a run to something that is no terminal.
func TestProgressInLines(t *testing.T) {
	var out strings.Builder
	p := NewProgress(&out)
	v := operate.View{Run: operate.Run{Export: "Spring", RunID: "1"}}
	away := errors.New("Temporal does not answer")
	p.See(v, away)
	p.See(v, away)
	total := int64(1000)
	segment := operate.SegmentView{Handled: 10, Total: &total}
	segment.Run.Segment, segment.State, segment.Step = "Readers", schemas.StateRunning, schemas.ActivityUploadBatches
	v.Segments = []operate.SegmentView{segment}
	p.See(v, nil)
	p.See(v, nil)
	p.See(v, away)
	for attempt := range 2 {
		v.Segments[0].Retrying = &operate.Retrying{Step: schemas.ActivityUploadBatches, Attempt: attempt, Message: "connection refused"}
		p.See(v, nil)
	}
	v.Segments[0].Retrying = nil
	v.Segments[0].State, v.Segments[0].Waiting = schemas.StateWaiting, &schemas.Waiting{Step: "EnsureList", Message: "no key"}
	p.See(v, nil)
	v.Segments[0].State, v.Segments[0].Waiting = schemas.StateDone, nil
	p.See(v, nil)
	p.Close()
	const want = `Spring: Temporal does not answer; trying again
Readers: sending 10 of 1,000
Spring: Temporal does not answer; trying again
Readers: sending 10 of 1,000; UploadBatches fails: connection refused; trying again
Readers: waiting at EnsureList: no key
Readers: done
`
	if out.String() != want {
		t.Errorf("it says\n%s, want\n%s", &out, want)
	}
}
