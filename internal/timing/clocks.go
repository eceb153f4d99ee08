package timing

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ClockChange is a change of the clocks of a schedule's zone that skips or repeats times at
// which runs start.
type ClockChange struct {
	// At is when the clocks change, in the schedule's zone.
	At time.Time
	// Ahead is by how much they are put ahead; negative is back.
	Ahead time.Duration
	// Starts are the times of the wall clock that are skipped or repeated. Of a repeated
	// time it is the later instant.
	Starts []time.Time
}

// ClockChanges returns the changes of the clocks between two times that skip or repeat starts.
// Expressions that match every hour are left out: their next start is not far.
func (s *Spec) ClockChanges(from, to time.Time) []ClockChange {
	var out []ClockChange
	for at := from.In(s.zone); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.After(to) {
			return out
		}
		_, before := end.Add(-time.Second).Zone()
		_, after := end.Zone()
		c := ClockChange{At: end, Ahead: time.Duration(after-before) * time.Second}
		// What is skipped begins with the clock as it was, what is repeated with the new one.
		first := end.In(time.FixedZone("", min(before, after)))
		for minute := first; minute.Before(first.Add(c.Ahead.Abs())); minute = minute.Add(time.Minute) {
			if slices.ContainsFunc(s.rules, func(r rule) bool { return r.every == 0 && r.hour != fields[1].all() && r.matches(minute) }) {
				c.Starts = append(c.Starts, minute)
			}
		}
		if len(c.Starts) > 0 {
			out = append(out, c)
		}
		at = end
	}
}

// Window returns the span of time in which Warning has to know the starts.
func (c ClockChange) Window() (from, to time.Time) {
	return c.At.Add(-c.Ahead.Abs()), c.At.Add(c.Ahead.Abs())
}

// Warning returns what becomes of the starts, given those that Temporal computes for the Window.
// Temporal starts a repeated time once in some zones, and twice in others.
func (c ClockChange) Warning(temporal []time.Time) string {
	day := fmt.Sprintf("on %s the clocks of %s ", c.At.Format("Mon 2 Jan 2006"), c.At.Location())
	if c.Ahead.Abs() != time.Hour {
		return day + fmt.Sprintf("change by %s: starts at %s may be left out, come twice, or come at another time", inWords(c.Ahead.Abs()), clocks(c.Starts))
	}
	if c.Ahead > 0 {
		return day + "skip an hour: no run starts at " + clocks(c.Starts)
	}
	is := map[int64]bool{}
	for _, t := range temporal {
		is[t.Unix()] = true
	}
	var by [3][]time.Time // by how often they come
	for _, t := range c.Starts {
		n := 0
		for _, instant := range []time.Time{t, t.Add(c.Ahead)} {
			if is[instant.Unix()] {
				n++
			}
		}
		by[n] = append(by[n], t)
	}
	var parts []string
	for n, text := range []string{"no run starts at %s", "one run starts at %s", "two runs start at %s, and the second sends only what has changed since the first"} {
		if len(by[n]) > 0 {
			parts = append(parts, fmt.Sprintf(text, clocks(by[n])))
		}
	}
	return day + "repeat an hour: " + strings.Join(parts, "; ")
}

// mostStarts is the most starts that a warning lists.
const mostStarts = 3

func clocks(all []time.Time) string {
	var out []string
	for _, t := range all[:min(mostStarts, len(all))] {
		out = append(out, t.Format("15:04"))
	}
	if more := len(all) - mostStarts; more > 0 {
		return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", more)
	}
	return list(out, "and")
}
