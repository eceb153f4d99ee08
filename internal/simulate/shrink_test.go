package simulate

import (
	"maps"
	"slices"
	"testing"
)

// clone returns a deep copy of a plan.
func (p *plan) clone() *plan {
	c := *p
	c.spared = maps.Clone(p.spared)
	c.rounds = slices.Clone(p.rounds)
	for i := range c.rounds {
		r := &c.rounds[i]
		r.exports, r.others, r.sweeps, r.checks = slices.Clone(r.exports), slices.Clone(r.others), slices.Clone(r.sweeps), slices.Clone(r.checks)
		r.refusals = maps.Clone(r.refusals)
		for e := range r.exports {
			r.exports[e].rows, r.exports[e].again = slices.Clone(r.exports[e].rows), slices.Clone(r.exports[e].again)
			r.exports[e].swap = slices.Clone(r.exports[e].swap)
		}
	}
	return &c
}

// mostReplays bounds how often a history is replayed to shorten it.
const mostReplays = 300

// shrink removes events that the violation does not need: rounds, faults, changes by other
// clients, profiles.
func shrink(t *testing.T, p *plan, w *world) (*plan, *world) {
	tries := 0
	try := func(change func(*plan)) bool {
		if tries++; tries > mostReplays {
			return false
		}
		c := p.clone()
		change(c)
		got := replay(t, c)
		if got.failure == nil || got.failure.check != w.failure.check {
			return false
		}
		p, w = c, got
		return true
	}
	for again := true; again; {
		again = false
		for i := len(p.rounds) - 1; i >= 0 && len(p.rounds) > 1; i-- {
			again = try(func(c *plan) { c.rounds = slices.Delete(c.rounds, i, i+1) }) || again
		}
		for n := len(w.fired); n > 0; n /= 2 {
			for at := 0; at < len(w.fired); at += n {
				spare := slices.Clone(w.fired[at:min(at+n, len(w.fired))])
				again = try(func(c *plan) {
					for _, key := range spare {
						c.spared[key] = true
					}
				}) || again
			}
		}
		for who := range p.people {
			again = len(p.rounds) > 0 && mentions(p, who) && try(func(c *plan) { leaveOut(c, who) }) || again
		}
		for i := range p.rounds {
			r := p.rounds[i]
			for at := len(r.trials) - 1; at >= 0; at-- {
				again = try(func(c *plan) { c.rounds[i].trials = slices.Delete(slices.Clone(c.rounds[i].trials), at, at+1) }) || again
			}
			again = r.sweepFirst && try(func(c *plan) { c.rounds[i].sweepFirst = false }) || again
			again = len(r.suppressed) > 0 && try(func(c *plan) { c.rounds[i].suppressed = nil }) || again
			again = len(r.others)+len(r.sweeps)+len(r.checks) > 0 && try(func(c *plan) { c.rounds[i].others, c.rounds[i].sweeps, c.rounds[i].checks = nil, nil, nil }) || again
			for e, one := range r.exports {
				again = one.swap != nil && try(func(c *plan) { c.rounds[i].exports[e].swap = nil }) || again
				again = one.end != "" && try(func(c *plan) { c.rounds[i].exports[e].end = "" }) || again
				again = one.again != nil && try(func(c *plan) { c.rounds[i].exports[e].again = nil }) || again
				again = one.start >= 0 && e > 0 && try(func(c *plan) { c.rounds[i].exports[e].start = -1 }) || again
			}
		}
		again = again && tries < mostReplays
	}
	return p, w
}

func mentions(p *plan, who int) bool {
	for _, r := range p.rounds {
		for _, e := range r.exports {
			if slices.ContainsFunc(append(slices.Clone(e.rows), e.again...), func(x row) bool { return x.who == who }) {
				return true
			}
		}
	}
	return false
}

// leaveOut removes a profile from a plan.
func leaveOut(p *plan, who int) {
	drop := func(x row) bool { return x.who == who }
	for i := range p.rounds {
		r := &p.rounds[i]
		delete(r.refusals, who)
		r.others = slices.DeleteFunc(r.others, func(o other) bool { return o.who == who })
		for e := range r.exports {
			r.exports[e].rows, r.exports[e].again = slices.DeleteFunc(r.exports[e].rows, drop), slices.DeleteFunc(r.exports[e].again, drop)
			r.exports[e].swap = slices.DeleteFunc(r.exports[e].swap, drop)
		}
	}
}
