// Package console prints runs, tables and values: with progress bars and colours on a
// terminal, and as plain lines to a file or a log.
package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Progress shows the progress of runs. It is safe for concurrent use.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	bars  *mpb.Progress // nil for plain lines
	shown map[string]*shown
}

// shown is what was last shown for one segment.
type shown struct {
	bar    *mpb.Bar
	beside atomic.Pointer[beside]
	speed  speed
	line   string
	at     time.Time
	// The position of the bar in a step; it never decreases within one.
	step           string
	total, handled int64
}

// beside is the text beside a bar. Another goroutine draws it.
type beside struct{ note, counts string }

// plainEvery is the interval of plain lines if only the counts change.
const plainEvery = 5 * time.Second

// NewProgress returns a Progress with bars if out is a terminal, and with lines otherwise.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, shown: map[string]*shown{}}
	if IsTerminal(out) {
		p.bars = mpb.New(mpb.WithOutput(Unfiltered(out)), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return p
}

// See shows the newest view of a run, or the problem in getting it.
func (p *Progress) See(v operate.View, problem error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	troubled := p.of("trouble of " + v.Run.RunID)
	if problem != nil {
		p.say(troubled, v.Run.Export+": "+problem.Error()+"; trying again")
		return
	}
	troubled.line = "" // so that it is shown again if it comes back
	if v.Waiting != nil {
		p.say(p.of(v.Run.Export), fmt.Sprintf("%s: waiting at %s: %s", v.Run.Export, v.Waiting.Step, v.Waiting.Message))
	} else if v.Retrying != nil {
		p.say(p.of(v.Run.Export), v.Run.Export+": "+trying(*v.Retrying))
	} else {
		p.of(v.Run.Export).line = ""
	}
	for _, s := range v.Segments {
		p.segment(v, s)
	}
}

func (p *Progress) of(key string) *shown {
	s := p.shown[key]
	if s == nil {
		s = &shown{}
		p.shown[key] = s
	}
	return s
}

func (p *Progress) segment(v operate.View, s operate.SegmentView) {
	key := v.Run.RunID + "/" + s.Run.Segment
	known := p.of(key)
	now := time.Now()
	known.speed.see(now, s.Step, s.Handled)
	note, counts := phase(s), known.speed.counts(s)
	line, trouble := s.Run.Segment+": "+note, ""
	if s.Retrying != nil {
		trouble = "; " + trying(*s.Retrying)
	}
	if p.bars == nil {
		if line+trouble != known.line || counts != "" && now.Sub(known.at) > plainEvery {
			known.line, known.at = line+trouble, now
			fmt.Fprintln(p.out, strings.TrimSpace(line+" "+counts)+trouble)
		}
		return
	}
	if s.Waiting != nil || s.Data != nil || s.Retrying != nil { // too long to show beside a bar
		p.say(known, line+trouble)
	} else {
		known.line = ""
	}
	if s.Waiting != nil || s.Data != nil || s.State != schemas.StateRunning {
		note = s.State
	}
	known.beside.Store(&beside{Printable(note), counts})
	p.bar(known, s, v.Ended())
}

// trying returns a retry in words that stay the same while the problem does.
func trying(r operate.Retrying) string { return r.Step + " fails: " + r.Message + "; trying again" }

// say prints a line unless it was printed last.
func (p *Progress) say(known *shown, line string) {
	if known.line == line {
		return
	}
	known.line = line
	w := p.out
	if p.bars != nil {
		w = p.bars
	}
	fmt.Fprintln(w, Printable(line))
}

// bar moves the segment's bar, and completes it with the run.
func (p *Progress) bar(known *shown, s operate.SegmentView, ended bool) {
	if known.bar == nil {
		known.bar = p.bars.New(0, mpb.BarStyle(),
			mpb.PrependDecorators(decor.Name(Printable(s.Run.Segment)+" ", decor.WCSyncSpaceR)),
			mpb.AppendDecorators(
				decor.Any(func(decor.Statistics) string { return known.beside.Load().note }, decor.WCSyncSpaceR),
				decor.Any(func(decor.Statistics) string { return known.beside.Load().counts }, decor.WCSyncSpaceR),
			))
	}
	if s.Of() > 0 {
		known.bar.SetTotal(s.Of(), false)
		if known.step != s.Step || known.total != s.Of() {
			known.step, known.total, known.handled = s.Step, s.Of(), 0
		}
		// A batch that is sent again after a failure was already counted.
		known.handled = max(known.handled, min(s.Handled, s.Of()))
		known.bar.SetCurrent(known.handled)
	}
	if ended || s.State != schemas.StateRunning && s.State != schemas.StateWaiting && s.State != schemas.StateAwaitingData {
		if s.State == schemas.StateDone {
			known.bar.SetTotal(max(s.Of(), s.Handled, 1), false)
			known.bar.SetCurrent(max(s.Of(), s.Handled, 1))
		}
		known.bar.SetTotal(-1, true)
	}
}

// phase returns the state of a segment in a few words.
func phase(s operate.SegmentView) string {
	switch {
	case s.Waiting != nil:
		return "waiting at " + s.Waiting.Step + ": " + s.Waiting.Message
	case s.Data != nil:
		return awaitsData(*s.Data)
	case s.State != schemas.StateRunning:
		if s.Report.Error != "" {
			return s.State + ": " + s.Report.Error
		}
		return s.State
	}
	if words, ok := steps[s.Step]; ok {
		return words
	}
	return "starting"
}

// steps are the names of the steps for display.
var steps = map[string]string{
	schemas.StepAwaitData:          "waiting for the data",
	schemas.ActivityInspectSegment: "inspecting the files",
	schemas.ActivityEnsureList:     "finding the list",
	schemas.ActivityStageSegment:   "reading",
	schemas.ActivityDivideSegment:  "dividing",
	schemas.StepGuardrails:         "checking the guardrails",
	schemas.ActivityUploadBatches:  "sending",
	schemas.ActivityCommitSnapshot: "finishing",
	schemas.ActivityCloseRun:       "finishing", // a check
}

// Close stops the bars and blocks until they are drawn.
func (p *Progress) Close() {
	if p.bars == nil {
		return
	}
	for _, s := range p.shown {
		if s.bar != nil && !s.bar.Completed() && !s.bar.Aborted() {
			s.bar.Abort(false)
		}
	}
	p.bars.Wait()
}
