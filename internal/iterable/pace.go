package iterable

import (
	"math"
	"math/rand/v2"
	"time"
)

// Shape of the pace, found by search in the simulation of pace_sim_test.go.
// Seconds and requests are those of a limit of 5 requests a second.
const (
	// A pacer starts with firstShare of the limit and doubles its rate every
	// doubling until it is at the limit, or the first 429 comes.
	firstShare = 5
	doubling   = time.Second
	// A first 429 this long after the limit was reached finds a pacer that has
	// had the limit to itself, one before that a pacer among several that start.
	settled = 1800 * time.Millisecond
	// rampShare is the share of a pacer whose first 429 comes between the two.
	rampShare = 3

	// Above half the limit: what a 429 takes off the rate for good, how much more
	// close to the limit and right after another 429, and how many accepted
	// requests lead back to where it was.
	lastingCut   = 0.30
	cutNearLimit = 0.15
	cutRepeated  = 0.30
	repeatedFade = 10
	climbLength  = 40
	leastGap     = 0.1
	// climbTo is the share of the limit that the climb from half the limit heads
	// for first.
	climbTo   = 0.6
	floorRate = 0.02 // of the limit

	// At half the limit and below: the mean rest between two trials, how often the
	// rest grows and up to where, and the rest after a trial that went well.
	restTime     = 100 * time.Second
	restGrowth   = 1.5
	longestRest  = 240 * time.Second
	restAfterWin = 2 * time.Second
	quickRest    = 0.1 // of restTime, for shares of a third and more
	// extras is how many requests beyond its share a trial gets through to win:
	// clearly more than a server's burst of 5.
	extras = 13
	// 429s outside trials add up to strikes, which fade, until the share is
	// reduced; larger shares need fewer. For the time of grace after a 429, the
	// others' reaction to the same overload is waited for.
	strikesOut  = 4.0
	strikeFade  = 60.0 // seconds
	rapidStrike = 0.5
	rapidFade   = 3.0 // requests
	grace       = 2500 * time.Millisecond
)

// pace decides when the next request may leave. It is a pure state machine:
// every method takes the time, and the caller does the waiting and the locking.
// Pacer's comment says what it is after.
type pace struct {
	limit  float64 // requests a second, never exceeded
	rate   float64 // requests a second now
	random func() float64

	slot   time.Time // of the last request
	paused time.Time // nothing leaves before

	learning bool      // no 429 yet
	full     time.Time // the limit was reached while learning
	fresh    bool      // the last 429 was the first
	cut      time.Time // the rate was last halved
	accepts  int       // requests sent since then that were accepted

	// Above half the limit the rate climbs from ref to peak and beyond.
	ref, peak float64

	// At half the limit and below, the rate is limit/share; share is 0 above.
	share   int
	strikes float64
	rest    time.Duration // between trials, before chance
	wait    time.Duration // from since to the next trial
	since   time.Time
	trial   bool
	passed  int  // requests accepted in the trial
	tried   int  // slots used in the trial
	twin    bool // the next request goes out in the last one's slot

	// Until unsettled, 429s say nothing about the limit: workers that share it
	// are just finding out about each other. held says that there was one.
	unsettled time.Time
	held      bool
}

func newPace(limit float64) *pace {
	return &pace{limit: limit, rate: limit / firstShare, learning: true, rest: restTime, random: rand.Float64}
}

// divide gives the pace another part of a limit that workers share by agreement.
// What it has learned about the limit stays true, in proportion. joined says that
// the number of those who share it has just grown: until that time 429s are put
// down to the ones who do not know it yet.
func (p *pace) divide(limit float64, now, unsettled time.Time) {
	f := limit / p.limit
	p.limit, p.rate, p.ref, p.peak = limit, min(limit, p.rate*f), p.ref*f, p.peak*f
	if unsettled.After(p.unsettled) {
		p.unsettled = unsettled
		// A 429 of just now came of the same newcomers.
		p.held = p.held || now.Sub(p.cut) < unsettled.Sub(now)
	}
	if p.learning {
		// Nobody has to be felt for who is known.
		p.rate = limit
		p.full = now.Add(-2 * settled)
	}
}

// settle forgets the 429s of the time in which the pace was unsettled.
func (p *pace) settle(now time.Time) {
	fresh := newPace(p.limit)
	fresh.random, fresh.slot, fresh.paused = p.random, p.slot, p.paused
	fresh.rate, fresh.full, fresh.cut = p.limit, now.Add(-2*settled), now
	*p = *fresh
}

func (p *pace) interval() time.Duration {
	return time.Duration(float64(time.Second) / p.rate)
}

// next is the time of the next slot. Slots follow from each other, not from
// when the requests really left, so that late timers cost nothing.
func (p *pace) next() time.Time {
	at := p.slot.Add(p.interval())
	switch {
	case p.slot.IsZero():
		at = time.Time{}
	case p.twin:
		at = p.slot
	}
	if at.Before(p.paused) {
		return p.paused
	}
	return at
}

// take uses the slot that next gave, at or after its time. What was not used
// for over an interval is lost.
func (p *pace) take(now time.Time) {
	if p.twin {
		p.twin = false
		return
	}
	slot := p.next()
	if now.Sub(slot) > p.interval() {
		slot = now
	}
	if p.learning && !p.slot.IsZero() {
		grown := min(1, slot.Sub(p.slot).Seconds()/doubling.Seconds())
		p.rate = min(p.limit, p.rate*math.Exp2(grown))
		if p.rate == p.limit && p.full.IsZero() {
			p.full = now
		}
	}
	p.slot = slot
	if p.trial {
		p.tried++
		p.twin = p.tried%p.stride() == 0
	}
}

// accepted notes that a request sent at that time was not throttled.
func (p *pace) accepted(sent, now time.Time) {
	if p.held && !now.Before(p.unsettled) {
		p.settle(now)
	}
	if p.held {
		p.rate = p.limit
		return
	}
	if p.learning || sent.Before(p.cut) {
		return
	}
	p.accepts++
	switch {
	case p.share == 0:
		p.climb()
		return
	case p.trial:
		if !sent.Before(p.since) {
			p.pass(now)
		}
	case now.Sub(p.since) >= p.wait && p.share == 2:
		p.share, p.rest = 0, restTime
		p.ref, p.peak, p.accepts = p.limit/2, p.limit*climbTo, 1
		p.climb()
		return
	case now.Sub(p.since) >= p.wait:
		p.trial, p.passed, p.tried, p.since = true, 0, 0, now
	}
	p.rate = p.limit / float64(p.share)
}

// climb sets the rate above half the limit: from ref fast towards peak, slowly
// around it, and fast again beyond.
func (p *pace) climb() {
	y := float64(p.accepts-1)/climbLength - 1
	gap := max(p.peak-p.ref, leastGap*p.peak)
	p.rate = min(p.limit, p.ref+gap+gap*y*y*y)
}

// stride is how many slots of a trial come to one that is used twice. Only a
// share of a third takes two: twice its rate would be far over half the limit.
func (p *pace) stride() int {
	if p.share == 3 {
		return 2
	}
	return 1
}

// pass counts a request that a trial got through, and takes the larger share
// once they are enough.
func (p *pace) pass(now time.Time) {
	p.passed++
	if p.passed < extras*(1+p.stride()) {
		return
	}
	p.share--
	p.trial, p.twin, p.since = false, false, now
	p.rest, p.wait = restTime, restAfterWin
}

// throttled notes that a request sent at that time was answered 429, and tells
// whether it slowed the pace down: 429s of requests that had left before the
// last cut belong to the same overload and do not count.
func (p *pace) throttled(sent, now time.Time, pause time.Duration) bool {
	if until := now.Add(pause); pause > 0 && until.After(p.paused) {
		p.paused = until
	}
	if sent.Before(p.cut) {
		return false
	}
	if now.Before(p.unsettled) {
		p.held, p.cut, p.rate = true, now, max(p.rate/2, p.limit*floorRate)
		return true
	}
	first := p.learning
	switch {
	case p.learning:
		p.learn(now)
	case p.share == 0:
		p.lower()
		if p.fresh && p.accepts < 3 {
			p.keep(firstShare, now)
		} else if p.ref <= p.limit/2 {
			p.keep(2, now)
		}
	case p.trial:
		p.rest = min(longestRest, time.Duration(float64(p.rest)*restGrowth))
		p.keep(p.share, now)
	default:
		p.keep(p.share+p.strike(now), now)
	}
	p.fresh, p.cut, p.accepts = first, now, 0
	if p.share > 0 {
		p.rate = p.limit / float64(p.share)
	}
	p.rate = max(p.rate/2, p.limit*floorRate)
	return true
}

// learn ends the start with the first 429.
func (p *pace) learn(now time.Time) {
	p.learning = false
	switch {
	case p.full.IsZero():
		p.keep(firstShare, now)
	case now.Sub(p.full) <= settled:
		p.keep(rampShare, now)
	default:
		p.lower()
	}
}

// lower sets where the rate goes back to above half the limit.
func (p *pace) lower() {
	if !p.fresh && !p.learning && p.accepts == 0 && p.ref > 0 {
		p.ref *= 0.8 // one 429 after the other
		return
	}
	p.peak = p.rate
	d := lastingCut + cutRepeated*math.Exp(-float64(p.accepts)/repeatedFade) + cutNearLimit*p.rate/p.limit
	p.ref = p.rate * (1 - min(d, 0.5))
}

// keep rests at a share, for a time that chance varies so that pacers take turns
// with their trials.
func (p *pace) keep(share int, now time.Time) {
	p.share, p.trial, p.twin, p.since = share, false, false, now
	n := float64(share)
	part := min(n/firstShare, firstShare/n)
	if share <= 3 {
		part = min(part, quickRest)
	}
	p.wait = time.Duration(float64(p.rest) * (0.5 + p.random()) * part)
}

// strike counts a 429 outside a trial, and says by how much that reduces the
// share: by one step or not at all.
func (p *pace) strike(now time.Time) int {
	age := now.Sub(p.cut)
	p.strikes = p.strikes*math.Exp(-age.Seconds()/strikeFade) + 1 + rapidStrike*math.Exp(-float64(p.accepts)/rapidFade)
	n := float64(p.share) / firstShare
	if age <= grace || p.strikes < strikesOut*min(1, n*n) {
		return 0
	}
	p.strikes = 0
	return 1
}
