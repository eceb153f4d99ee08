// Package console shows runs to a person at a terminal: progress bars there,
// plain lines where the output goes to a file or a log.
package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Progress shows how runs get on. It is safe for concurrent use.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	bars  *mpb.Progress // nil: plain lines
	shown map[string]*shown
}

// shown is what was last said of one segment.
type shown struct {
	bar   *mpb.Bar
	state string
	note  string
	line  string
	at    time.Time
}

// plainEvery is how often a plain line repeats where only the counts change.
const plainEvery = 5 * time.Second

// NewProgress shows bars where out is a terminal and lines elsewhere.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, shown: map[string]*shown{}}
	if IsTerminal(out) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return p
}

// IsTerminal tells whether a person looks at w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// See takes the newest view of a run.
func (p *Progress) See(v operate.View, problem error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if problem != nil {
		p.say("", &shown{}, v.Run.Export+": "+problem.Error()+"; trying again")
	}
	if v.Waiting != nil {
		p.say(v.Run.Export, p.of(v.Run.Export), fmt.Sprintf("%s: waiting at %s: %s", v.Run.Export, v.Waiting.Step, v.Waiting.Message))
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
	known.state, known.note = s.State, phase(s)
	if p.bars != nil {
		p.bar(known, s, v.Ended())
		return
	}
	line := s.Run.Segment + ": " + known.note
	counts := ""
	if s.Total >= 0 && s.Step == schemas.ActivityUploadBatches && s.State == schemas.StateRunning {
		counts = fmt.Sprintf(" %s of %s", Count(s.Handled), Count(s.Total))
	}
	if line != known.line || counts != "" && time.Since(known.at) > plainEvery {
		known.line, known.at = line, time.Now()
		fmt.Fprintln(p.out, line+counts)
	}
}

// say prints a line once.
func (p *Progress) say(key string, known *shown, line string) {
	if known.line == line {
		return
	}
	known.line = line
	w := p.out
	if p.bars != nil {
		w = p.bars
	}
	fmt.Fprintln(w, line)
}

// bar moves the segment's bar, and ends it with the run.
func (p *Progress) bar(known *shown, s operate.SegmentView, ended bool) {
	if known.bar == nil {
		known.bar = p.bars.New(0, mpb.BarStyle(),
			mpb.PrependDecorators(decor.Name(s.Run.Segment+" ", decor.WCSyncSpaceR)),
			mpb.AppendDecorators(
				decor.Any(func(decor.Statistics) string { return known.note }, decor.WCSyncSpaceR),
				decor.CountersNoUnit("%d / %d", decor.WCSyncSpace),
				decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), ""),
			))
	}
	if s.Total > 0 {
		known.bar.SetTotal(s.Total, false)
		known.bar.SetCurrent(min(s.Handled, s.Total))
	}
	if ended || s.State != schemas.StateRunning && s.State != schemas.StateWaiting {
		if s.State == schemas.StateDone {
			known.bar.SetTotal(max(s.Total, s.Handled, 1), false)
			known.bar.SetCurrent(max(s.Total, s.Handled, 1))
		}
		known.bar.SetTotal(-1, true)
	}
}

// phase says in a few words where a segment stands.
func phase(s operate.SegmentView) string {
	switch {
	case s.Waiting != nil:
		return "waiting at " + s.Waiting.Step + ": " + s.Waiting.Message
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

// steps describes the steps to people.
var steps = map[string]string{
	schemas.ActivityInspectSegment: "looking at the files",
	schemas.ActivityEnsureList:     "finding the list",
	schemas.ActivityStageSegment:   "reading",
	schemas.ActivityUploadBatches:  "sending",
	schemas.ActivityVerifyList:     "checking the list's size",
	schemas.ActivityCommitSnapshot: "finishing",
}

// Close leaves the bars as they are and waits until they are drawn.
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

// Count writes a number with its thousands set apart.
func Count(n int64) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 && s[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
