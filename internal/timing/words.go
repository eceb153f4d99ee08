package timing

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Words returns the schedule in words, such as "every day at 04:00 Europe/Oslo". An interval
// has no zone, so the words say in which one its starts are shown.
func (s *Spec) Words() string {
	all := s.phrases()
	if !slices.ContainsFunc(all, func(p phrase) bool { return p.interval }) {
		return join(all) + " " + s.zone.String()
	}
	var out []string
	for _, p := range all {
		text := p.String()
		if !p.interval {
			text += " " + s.zone.String()
		}
		out = append(out, text)
	}
	text := strings.Join(out, "; and ")
	if s.zone == time.UTC && strings.HasSuffix(text, " UTC") {
		return text
	}
	return fmt.Sprintf("%s (starts shown in %s)", text, s.zone)
}

// Later returns by how much Temporal delays starts with a jitter, to be read after the Words.
func Later(jitter time.Duration) string {
	if jitter == 0 {
		return ""
	}
	return fmt.Sprintf(", up to %s later but not past the next start", inWords(jitter))
}

// phrase is a part of the words: days, and the minutes of the day that a run starts at; or
// only other.
type phrase struct {
	days     string
	clock    []int
	other    string
	interval bool
}

// words returns the schedule in words, without its zone.
func (s *Spec) words() string { return join(s.phrases()) }

func join(all []phrase) string {
	var out []string
	for _, p := range all {
		out = append(out, p.String())
	}
	return strings.Join(out, "; and ")
}

func (s *Spec) phrases() []phrase {
	var all []phrase
	for _, r := range s.rules {
		p := r.phrase()
		at := slices.IndexFunc(all, func(o phrase) bool { return o.other == "" && p.other == "" && o.days == p.days })
		switch {
		case at >= 0:
			all[at].clock = slices.Compact(slices.Sorted(slices.Values(append(all[at].clock, p.clock...))))
		case !slices.ContainsFunc(all, func(o phrase) bool { return p.other != "" && o.other == p.other }):
			all = append(all, p)
		}
	}
	return all
}

func (p phrase) String() string {
	if p.other != "" {
		return p.other
	}
	var times []string
	for _, m := range p.clock {
		times = append(times, clockTime(m))
	}
	return p.days + " at " + list(times, "and")
}

func (r rule) phrase() phrase {
	if r.every != 0 {
		return phrase{other: r.interval(), interval: true}
	}
	days := r.days()
	if clock := r.clock(); len(clock) > 0 {
		return phrase{days: days, clock: clock}
	}
	if days == "every day" {
		return phrase{other: r.times()}
	}
	return phrase{other: days + ", " + r.times()}
}

// interval returns an interval in words. One that divides the day starts at the same times
// every day. Temporal counts others from 1970 on.
func (r rule) interval() string {
	text := "every " + inWords(r.every)
	if one, ok := strings.CutPrefix(text, "every 1 "); ok && !strings.Contains(one, " ") {
		text = "every " + one
	}
	if r.every <= 24*time.Hour && 24*time.Hour%r.every == 0 {
		return text + " from " + time.Unix(0, 0).UTC().Add(r.phase).Format(clockFormat(r.phase)) + " UTC"
	}
	text += ", counted from " + time.Unix(0, 0).UTC().Add(r.phase).Format(clockFormat(r.phase)+" UTC on 2 January 2006")
	switch {
	case r.every < 24*time.Hour:
		text += ", so at other times each day"
	case r.every%(24*time.Hour) != 0:
		text += ", so not at the same time of the day"
	}
	return text
}

func clockFormat(d time.Duration) string {
	if d%time.Minute != 0 {
		return "15:04:05"
	}
	return "15:04"
}

// inWords returns a duration in words.
func inWords(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		name string
		long time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := d / u.long; n > 0 {
			text := fmt.Sprintf("%d %s", n, u.name)
			if n > 1 {
				text += "s"
			}
			parts = append(parts, text)
		}
		d %= u.long
	}
	return list(parts, "and")
}

// days returns on which days the expression matches.
func (c cron) days() string {
	months := spans(c.month, 12, monthName, "and")
	everyMonth, everyWeekday := c.month == fields[3].all(), c.weekday == fields[4].all()
	if c.day == fields[2].all() {
		text := "every day"
		if !everyWeekday {
			text = "every " + weekdays(c.weekday, "and")
		}
		if !everyMonth {
			text += " in " + months
		}
		return text
	}
	text := "on day "
	if bits.OnesCount64(c.day) > 1 {
		text = "on days "
	}
	if everyMonth {
		months = "every month"
	}
	text += spans(c.day, 31, strconv.Itoa, "and") + " of " + months
	if !everyWeekday {
		text += " if it is a " + weekdays(c.weekday, "or")
	}
	return text
}

// mostClock is the most times of the day that are listed.
const mostClock = 6

// clock returns the minutes of the day that the expression matches, or nil if there are too many
// to list.
func (c cron) clock() []int {
	if bits.OnesCount64(c.hour)*bits.OnesCount64(c.minute) > mostClock {
		return nil
	}
	var out []int
	for _, h := range values(c.hour) {
		for _, m := range values(c.minute) {
			out = append(out, h*60+m)
		}
	}
	return out
}

func clockTime(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// times returns the times of the day for an expression with too many to list.
func (c cron) times() string {
	minutes, everyHour := values(c.minute), c.hour == fields[1].all()
	text := "at minute "
	if len(minutes) > 1 {
		text = "at minutes "
	}
	text += spans(c.minute, 59, strconv.Itoa, "and")
	switch step := even(minutes); {
	case everyHour && len(minutes) == 1 && minutes[0] == 0:
		return "every hour on the hour"
	case step == 1:
		text = "every minute"
	case step > 1:
		text = fmt.Sprintf("every %d minutes", step)
	case everyHour:
		return text + " of every hour"
	}
	if everyHour {
		return text
	}
	of := " of hour "
	if bits.OnesCount64(c.hour) > 1 {
		of = " of hours "
	}
	return text + of + spans(c.hour, 23, strconv.Itoa, "and")
}

// even returns the step of minutes that divide the hour evenly, beginning with 0, or 0.
func even(minutes []int) int {
	if len(minutes) < 2 || minutes[0] != 0 {
		return 0
	}
	step := minutes[1]
	for i, m := range minutes {
		if m != i*step {
			return 0
		}
	}
	if step*len(minutes) != 60 {
		return 0
	}
	return step
}

func monthName(m int) string { return time.Month(m).String() }

// weekdays returns days of the week, beginning with Monday.
func weekdays(set uint64, join string) string {
	if set&1 != 0 {
		set = set&^1 | 1<<7
	}
	return spans(set, 7, func(d int) string { return time.Weekday(d % 7).String() }, join)
}

// spans returns the members of a set, at most most. Three or more in a row become a range.
func spans(set uint64, most int, name func(int) string, join string) string {
	var out []string
	for v := 0; v <= most; v++ {
		if set>>v&1 == 0 {
			continue
		}
		last := v
		for last < most && set>>(last+1)&1 != 0 {
			last++
		}
		if last-v >= 2 {
			out = append(out, name(v)+" to "+name(last))
			v = last
			continue
		}
		out = append(out, name(v))
	}
	return list(out, join)
}

// list joins texts with commas, and the last one with a word.
func list(texts []string, join string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " " + join + " " + texts[last]
}
