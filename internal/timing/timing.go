// Package timing reads schedules as they are in exports.yaml, refuses those that would not
// start when their author expects it, and puts the others into words. It never computes when
// a run starts: Temporal does, from Expressions.
//
// robfig/cron, the usual parser, reads another dialect than Temporal's schedules: without 7 for
// Sunday, with "?" and seconds, and with other phases of @every.
package timing

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the worker's image has no time zones of its own

	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// Spec is a valid schedule.
type Spec struct {
	rules []rule
	zone  *time.Location
}

// rule is one cron expression, or an interval if every is set.
type rule struct {
	text string // as Temporal reads it
	cron
	every, phase time.Duration
}

// Error says which setting of a schedule is wrong, and why.
type Error struct {
	// Setting is the path of the setting, such as cron, or at and 1.
	Setting []string
	reason  string
}

func (e *Error) Error() string { return e.reason }

func wrong(reason string, setting ...string) error { return &Error{setting, reason} }

// quote returns a text from outside in quotes, unless it is so long that it could be a key.
func quote(s string) string {
	const most = 24
	if len(s) > most {
		return "a long text"
	}
	return strconv.Quote(s)
}

// Parse returns the schedule that t describes. The error is an *Error, or joins several.
func Parse(t schemas.Timing) (*Spec, error) {
	s := &Spec{zone: time.UTC}
	var unknown error
	if t.TimeZone != "" {
		zone, err := time.LoadLocation(t.TimeZone)
		if err != nil || strings.EqualFold(t.TimeZone, "local") {
			unknown = wrong(fmt.Sprintf("unknown time zone %s; use an IANA name such as Europe/Oslo or America/New_York", quote(t.TimeZone)), "timeZone")
		}
		s.zone = zone
	}
	if err := errors.Join(s.read(t), unknown); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Spec) read(t schemas.Timing) error {
	switch {
	case len(t.Cron) > 0 && t.Every != "":
		return wrong("a schedule has either cron or every; remove one of them", "every")
	case t.Every != "":
		return s.plain(t)
	case len(t.At)+len(t.On)+len(t.Dates) > 0:
		return wrong("at, on and dates need every: day, and go without cron")
	case len(t.Cron) > 0:
		return s.expressions(t.Cron)
	}
	return wrong(`a schedule needs cron, such as "0 4 * * *", or every, such as {every: day, at: "04:00"}`)
}

func (s *Spec) expressions(all schemas.OneOrMore) error {
	for i, expression := range all {
		r, err := parseCron(expression)
		if err != nil {
			setting := []string{"cron"}
			if len(all) > 1 {
				setting = append(setting, strconv.Itoa(i))
			}
			return wrong(err.Error(), setting...)
		}
		s.rules = append(s.rules, r)
	}
	return nil
}

// plain reads a schedule without cron.
func (s *Spec) plain(t schemas.Timing) error {
	if t.Every != "day" {
		every, err := interval(t.Every)
		switch {
		case err != nil:
			return wrong(err.Error(), "every")
		case len(t.At)+len(t.On)+len(t.Dates) > 0:
			return wrong(fmt.Sprintf("at, on and dates need every: day; the starts of every: %s are counted from midnight UTC", t.Every), "every")
		}
		s.rules = []rule{{text: "@every " + every.String(), every: every}}
		return nil
	}
	if len(t.At) == 0 {
		return wrong(`every: day needs the time of the day, such as at: "04:00"`, "every")
	}
	c := cron{day: fields[2].all(), month: fields[3].all(), weekday: fields[4].all()}
	dates, on := "*", "*"
	if len(t.Dates) > 0 {
		var texts []string
		for i, d := range t.Dates {
			if d < 1 || d > 31 {
				return wrong(fmt.Sprintf("dates are days of the month, from 1 to 31, not %d", d), "dates", strconv.Itoa(i))
			}
			texts = append(texts, strconv.Itoa(d))
		}
		dates = strings.Join(texts, ",")
		c.day, _ = fields[2].set(dates)
	}
	if len(t.On) > 0 {
		for i, name := range t.On {
			if _, err := strconv.Atoi(name); err == nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				return wrong(fmt.Sprintf("on has days of the week, such as mon or thursday, not %s", quote(name)), "on", strconv.Itoa(i))
			}
			if _, ok := fields[4].number(name); !ok {
				return wrong(fmt.Sprintf("on has days of the week, such as mon or thursday, not %s%s", quote(name), spelling.DidYouMean(name, fields[4].words)), "on", strconv.Itoa(i))
			}
		}
		on = strings.Join(t.On, ",")
		c.weekday, _ = fields[4].set(on)
	}
	for i, text := range t.At {
		at, err := time.Parse("15:04", text)
		if err != nil {
			return wrong(fmt.Sprintf("at has times of the day, such as 04:00 or 16:30, not %s", quote(text)), "at", strconv.Itoa(i))
		}
		c.hour, c.minute = 1<<at.Hour(), 1<<at.Minute()
		s.rules = append(s.rules, rule{text: fmt.Sprintf("%d %d %s * %s", at.Minute(), at.Hour(), dates, on), cron: c})
	}
	return nil
}

// interval reads the value of every that is not a day.
func interval(text string) (time.Duration, error) {
	instead := map[string]string{
		"hour": "1h", "minute": "1m", "week": `day, with the day of the week, such as on: mon`, "month": "day, with the day of the month, such as dates: [1]",
		"weekday": "day, with on: [mon, tue, wed, thu, fri]", "year": `@yearly in cron instead`,
	}[strings.TrimSuffix(text, "s")]
	every, err := time.ParseDuration(text)
	switch {
	case instead != "":
		return 0, fmt.Errorf("every can't be %q; write %s", text, instead)
	case err != nil:
		return 0, fmt.Errorf("every can't be %s; write day, or an interval such as 6h", quote(text))
	}
	if err := atLeast(every); err != nil {
		return 0, err
	}
	if day := 24 * time.Hour; day%every != 0 {
		return 0, fmt.Errorf("every can't be %s, which does not divide the day; write an interval that does, such as 4h, 6h or 12h, or cron: \"@every %s\"", quote(text), text)
	}
	return every, nil
}

// atLeast refuses intervals that Temporal would take, and that nobody means.
func atLeast(every time.Duration) error {
	switch {
	case every < time.Minute:
		return fmt.Errorf("an interval must be a minute or more")
	case every%time.Second != 0:
		return fmt.Errorf("an interval must be in whole seconds")
	}
	return nil
}

// Expressions returns the cron expressions by which Temporal computes the starts.
func (s *Spec) Expressions() []string {
	var out []string
	for _, r := range s.rules {
		if !slices.Contains(out, r.text) {
			out = append(out, r.text)
		}
	}
	return out
}

// Start formats a start in its zone, such as "Thu 26 Nov 04:00". It adds the year if that is not
// now's.
func Start(t, now time.Time) string {
	if t.Year() != now.In(t.Location()).Year() {
		return t.Format("Mon 2 Jan 2006 15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}
