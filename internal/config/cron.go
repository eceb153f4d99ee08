package config

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

// cronField is a field of a cron expression with Temporal's bounds.
type cronField struct {
	name        string
	least, most int
	// words stand for numbers, beginning with least. letters is the length of the
	// shortest valid abbreviation.
	words   []string
	letters int
}

var (
	cronSecond = cronField{name: "second", most: 59}
	cronYear   = cronField{name: "year", least: 2000, most: 2100}
	cronFields = []cronField{
		{name: "minute", most: 59},
		{name: "hour", most: 23},
		{name: "day of the month", least: 1, most: 31},
		{name: "month", least: 1, most: 12, letters: 3, words: strings.Fields("january february march april may june july august september october november december")},
		{name: "day of the week", most: 7, letters: 2, words: strings.Fields("sunday monday tuesday wednesday thursday friday saturday")},
	}
	cronWords = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
)

// checkCron checks a cron expression as Temporal's schedules parse it. robfig/cron, the usual
// library, parses another dialect: without years, 7 for Sunday, and phases of @every.
func checkCron(expression string) error {
	if strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ=") {
		return errors.New("set the time zone in timeZone, not in cron")
	}
	text, _, _ := strings.Cut(expression, "#")
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "@every") {
		return checkEvery(text)
	}
	if strings.HasPrefix(text, "@") {
		if !slices.Contains(cronWords, text) {
			return fmt.Errorf("cron can't be %s%s", quote(text), spelling.DidYouMean(text, append(cronWords, "@every 6h")))
		}
		return nil
	}
	values := strings.Fields(text)
	fields := cronFields
	switch len(values) {
	case 5:
	case 6:
		fields = append(slices.Clone(fields), cronYear)
	case 7:
		fields = append(append([]cronField{cronSecond}, fields...), cronYear)
	default:
		return fmt.Errorf("cron has %d fields; it needs minute, hour, day of the month, month and day of the week, "+
			`such as "0 4 * * *" for every day at four; a sixth field is the year, and of seven the first is the second`, len(values))
	}
	for i, f := range fields {
		if err := f.check(values[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkEvery(text string) error {
	_, interval, _ := strings.Cut(text, " ")
	interval, phase, has := strings.Cut(interval, "/")
	every, err := time.ParseDuration(interval)
	var after time.Duration
	if err == nil && has {
		after, err = time.ParseDuration(phase)
	}
	switch {
	case err != nil:
		return errors.New("@every needs a duration such as 6h or 1h30m")
	case after < 0 || after > every:
		return errors.New("the phase of @every (after the /) must be between 0 and the interval")
	case every < time.Minute:
		return errors.New("@every must be a minute or more")
	}
	return nil
}

// check checks a field: *, numbers and ranges, each with an optional step, separated by
// commas.
func (f cronField) check(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		span, step, stepped := strings.Cut(part, "/")
		if stepped {
			if n, err := strconv.Atoi(step); err != nil || n < 1 {
				return fmt.Errorf("cron's %s has the step %s; it must be a whole number from 1", f.name, quote(step))
			}
		}
		if span == "*" {
			continue
		}
		first, last, ranged := strings.Cut(span, "-")
		from, ok := f.number(first)
		to := from
		if ok && ranged {
			to, ok = f.number(last)
		}
		switch {
		case !ok:
			return fmt.Errorf("cron's %s can't be %s; it must be from %d to %d", f.name, quote(span), f.least, f.most)
		case to < from:
			return fmt.Errorf("cron's %s has a range that goes backwards: %s", f.name, quote(span))
		}
	}
	return nil
}

func (f cronField) number(s string) (int, bool) {
	if f.letters > 0 && len(s) >= f.letters {
		for i, w := range f.words {
			if strings.HasPrefix(w, strings.ToLower(s)) {
				return f.least + i, true
			}
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.least && n <= f.most
}

// checkTiming checks the timing at a path of the document.
func checkTiming(t schemas.Timing, path []string, doc *document, p *problems) {
	if err := checkCron(t.Cron); err != nil {
		p.add(doc.at(child(path, "cron")...), "%v", err)
	}
	if t.TimeZone == "" {
		return
	}
	_, err := time.LoadLocation(t.TimeZone)
	if err != nil || strings.EqualFold(t.TimeZone, "local") {
		p.add(doc.at(child(path, "timeZone")...), "unknown time zone %s; use an IANA name such as Europe/Oslo or America/New_York", quote(t.TimeZone))
	}
}
