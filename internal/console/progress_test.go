package console

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vbauerster/mpb/v8"

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
	v.Segments = nil
	for range 2 { // the second time after it worked
		v.Retrying = &operate.Retrying{Step: schemas.ActivityWriteRunReport, Message: "disk full"}
		p.See(v, nil)
		p.See(v, nil)
		v.Retrying = nil
		p.See(v, nil)
	}
	p.Close()
	const want = `Spring: Temporal does not answer; trying again
Readers: sending 10 of 1,000
Spring: Temporal does not answer; trying again
Readers: sending 10 of 1,000; UploadBatches fails: connection refused; trying again
Readers: waiting at EnsureList: no key
Readers: done
Spring: WriteRunReport fails: disk full; trying again
Spring: WriteRunReport fails: disk full; trying again
`
	if out.String() != want {
		t.Errorf("it says\n%s, want\n%s", &out, want)
	}
}

// TestAProblemThatComesBack is shown again above the bars.
func TestAProblemThatComesBack(t *testing.T) {
	p := NewProgress(io.Discard)
	p.bars = mpb.New(mpb.WithOutput(io.Discard))
	defer p.Close()
	var s operate.SegmentView
	s.Run.Segment, s.State, s.Step = "Readers", schemas.StateRunning, schemas.ActivityStageSegment
	v := operate.View{Run: operate.Run{Export: "Spring", RunID: "1"}, Segments: []operate.SegmentView{s}}
	v.Segments[0].Retrying = &operate.Retrying{Step: s.Step, Message: "disk full"}
	if p.See(v, nil); !strings.Contains(p.of("1/Readers").line, "disk full") {
		t.Error("the problem is not shown")
	}
	v.Segments[0].Retrying = nil
	if p.See(v, nil); p.of("1/Readers").line != "" {
		t.Errorf("after it worked, %q counts as just shown", p.of("1/Readers").line)
	}
}
