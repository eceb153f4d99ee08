package console

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// speedWindow is the time over which the rate is averaged. Iterable accepts a few requests
// a second, with up to a thousand profiles each, so a shorter average would be unsteady.
const speedWindow = 30 * time.Second

// speed measures the progress of one step of a segment.
type speed struct {
	step    string
	samples []sample // within the window, the oldest first
}

type sample struct {
	at      time.Time
	handled int64
}

// see records the position of the step. It starts again at another step, or if the position
// decreases.
func (p *speed) see(at time.Time, step string, handled int64) {
	if n := len(p.samples); step != p.step || n > 0 && handled < p.samples[n-1].handled {
		*p = speed{step: step}
	}
	p.samples = append(p.samples, sample{at, handled})
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= speedWindow {
		p.samples = p.samples[1:]
	}
}

// rate returns the average per second. ok reports whether it is known.
func (p *speed) rate() (perSecond float64, ok bool) {
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

// counts returns the position, the rate and the remaining time of a step, such as
// "12,000 of 50,000, 4,000/s, 10s left". It is empty for steps without counts.
func (p *speed) counts(s operate.SegmentView) string {
	if s.State != schemas.StateRunning || s.Step != schemas.ActivityUploadBatches && s.Step != schemas.ActivityStageSegment && s.Step != schemas.ActivityDivideSegment {
		return ""
	}
	text := humanize.Comma(s.Handled)
	if s.Of() >= 0 {
		text += " of " + humanize.Comma(s.Of())
	}
	rate, ok := p.rate()
	if !ok {
		return text
	}
	text += fmt.Sprintf(", %s/s", humanize.Comma(int64(rate+0.5)))
	if rate > 0 && s.Of() > s.Handled {
		left := time.Duration(float64(s.Of()-s.Handled) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s left", Ago(left))
	}
	return text
}
