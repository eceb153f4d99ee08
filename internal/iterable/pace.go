package iterable

import (
	"math"
	"time"
)

// Shape of the pace. The numbers were chosen by simulation; Pacer's comment has
// what they achieve.
const (
	startShare = 0.5 // of the limit, the rate of a pacer that knows nothing yet
	doubling   = time.Second
	floorShare = 0.02
)

// tuning holds the constants under search.
type tuning struct {
	K        float64 // requests from a cut back to the rate at which it was made
	cutOld   float64 // lasting cut of a 429 that comes long after the one before
	cutNew   float64 // more of it where it comes right after
	fade     float64 // requests over which cutNew fades
	cutSlope float64 // more of it for fast pacers
	minGap   float64 // least gap that the climb starts with, of the rate
	first    float64 // lasting cut of the first
	perSec   float64 // progress a second, in requests
	hold     float64 // requests at half the rate
}

var tuned = tuning{K: 40, cutOld: 0.12, cutNew: 0.3, fade: 10, cutSlope: 0.15, minGap: 0.1, first: 0.5, perSec: 0.1, hold: 1}

// pace decides when the next request may leave. It is a pure state machine:
// every method takes the time, and the caller does the waiting and the locking.
type pace struct {
	t     tuning
	limit float64 // requests a second, never exceeded
	rate  float64 // requests a second now

	slot   time.Time // of the last request
	paused time.Time // nothing leaves before

	learning bool      // no 429 yet
	cut      time.Time // the last cut
	ref      float64   // rate to go back to at once
	peak     float64   // rate at which the cut was made
	progress float64   // requests accepted since the cut
	again    int       // cuts in a row without a request accepted in between
}

func newPace(limit float64) *pace {
	return &pace{t: tuned, limit: limit, rate: limit * startShare, learning: true}
}

func (p *pace) interval() time.Duration {
	return time.Duration(float64(time.Second) / p.rate)
}

// next is the time of the next slot.
func (p *pace) next() time.Time {
	at := p.slot.Add(p.interval())
	if p.slot.IsZero() {
		at = time.Time{}
	}
	if at.Before(p.paused) {
		return p.paused
	}
	return at
}

// take uses the slot that next gave, at or after its time.
func (p *pace) take(now time.Time) {
	slot := p.next()
	if now.Sub(slot) > p.interval() {
		slot = now
	}
	if p.learning && !p.slot.IsZero() {
		grown := slot.Sub(p.slot).Seconds() / doubling.Seconds()
		p.rate = min(p.limit, p.rate*math.Exp2(min(grown, 1)))
	}
	p.slot = slot
}

// accepted notes that a request sent at that time was not throttled.
func (p *pace) accepted(sent, now time.Time) {
	if p.learning || sent.Before(p.cut) {
		return
	}
	p.again = 0
	p.progress++
	p.climb(now)
}

func (p *pace) climb(now time.Time) {
	x := p.progress + now.Sub(p.cut).Seconds()*p.t.perSec - p.t.hold
	if x < 0 {
		return
	}
	gap := max(p.peak-p.ref, p.t.minGap*p.peak)
	y := x/p.t.K - 1
	p.rate = min(p.limit, p.ref+gap+gap*y*y*y)
}

// throttled notes that a request sent at that time was answered 429, and tells
// whether it slowed the pace down.
func (p *pace) throttled(sent, now time.Time, pause time.Duration) bool {
	if until := now.Add(pause); pause > 0 && until.After(p.paused) {
		p.paused = until
	}
	if !p.learning && sent.Before(p.cut) {
		return false
	}
	switch {
	case p.learning:
		p.learning = false
		p.peak = p.rate
		p.ref = p.rate * (1 - p.t.first)
	case p.progress == 0:
		p.again++
		if p.again <= 2 {
			p.ref *= 0.8
		}
	default:
		p.again = 0
		p.peak = p.rate
		d := p.t.cutOld + p.t.cutNew*math.Exp(-p.progress/p.t.fade) + p.t.cutSlope*p.rate/p.limit
		p.ref = p.rate * (1 - min(d, 0.5))
	}
	p.cut = now
	p.progress = 0
	p.rate = max(p.rate/2, p.limit*floorShare)
	return true
}
