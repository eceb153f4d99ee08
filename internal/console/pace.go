package console

import (
	"fmt"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// paceWindow is how far back a rate looks. Iterable takes a handful of requests a
// second, of up to a thousand profiles each, so that less would jump about.
const paceWindow = 30 * time.Second

// pace tells how fast one step of a segment gets on. The zero pace knows nothing.
type pace struct {
	step    string
	samples []sample // within the window, the oldest first
}

type sample struct {
	at      time.Time
	handled int64
}

// see notes how far the step has come. Another step, or one that starts over, begins
// anew.
func (p *pace) see(at time.Time, step string, handled int64) {
	if n := len(p.samples); step != p.step || n > 0 && handled < p.samples[n-1].handled {
		*p = pace{step: step}
	}
	p.samples = append(p.samples, sample{at, handled})
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= paceWindow {
		p.samples = p.samples[1:]
	}
}

// rate is how many are handled in a second; ok is false while that can't be said.
func (p *pace) rate() (perSecond float64, ok bool) {
	if len(p.samples) < 2 {
		return 0, false
	}
	from, to := p.samples[0], p.samples[len(p.samples)-1]
	took := to.at.Sub(from.at)
	if took < time.Second {
		return 0, false
	}
	return float64(to.handled-from.handled) / took.Seconds(), true
}

// counts says how far a step has come, how fast it goes, and how long it takes yet:
// "12,000 of 50,000, 4,000/s, 10s left". It is empty where nothing is counted.
func (p *pace) counts(s operate.SegmentView) string {
	if s.State != schemas.StateRunning || s.Step != schemas.ActivityUploadBatches && s.Step != schemas.ActivityStageSegment {
		return ""
	}
	text := Count(s.Handled)
	if s.Total >= 0 {
		text += " of " + Count(s.Total)
	}
	rate, ok := p.rate()
	if !ok {
		return text
	}
	text += fmt.Sprintf(", %s/s", Count(int64(rate+0.5)))
	if rate > 0 && s.Total > s.Handled {
		left := time.Duration(float64(s.Total-s.Handled) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s left", Ago(left))
	}
	return text
}
