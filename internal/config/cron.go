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

// cronField is one field of a cron expression with the bounds that Temporal
// sets.
type cronField struct {
	name        string
	least, most int
	// words stand for numbers, the first for the least; letters is how many of a
	// word's letters are enough.
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

// checkCron tells what is wrong with a cron expression as Temporal's schedules
// read it. The parsers of the libraries at hand read another dialect: theirs
// know no year, no 7 for Sunday, and no phase of @every.
func checkCron(expression string) error {
	if strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ=") {
		return errors.New("the time zone goes into timeZone, not into cron")
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
			`such as "0 4 * * *" for every day at four; a sixth is the year, and with seven the first is the second`, len(values))
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
		return errors.New("@every needs a length of time in hours, minutes and seconds, such as @every 6h or @every 1h30m")
	case after < 0 || after > every:
		return errors.New("@every has a phase (after the /) that is below 0 or above the interval")
	case every < time.Minute:
		return errors.New("@every needs at least a minute")
	}
	return nil
}

// check tells what is wrong with a field: a list, with commas, of *, numbers
// and ranges, each with a step or without.
func (f cronField) check(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		span, step, stepped := strings.Cut(part, "/")
		if stepped {
			if n, err := strconv.Atoi(step); err != nil || n < 1 {
				return fmt.Errorf("cron's %s has a step of %s; it must be a whole number from 1", f.name, quote(step))
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
			return fmt.Errorf("cron's %s can't be %s; it goes from %d to %d", f.name, quote(span), f.least, f.most)
		case to < from:
			return fmt.Errorf("cron's %s goes backwards: %s", f.name, quote(span))
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

// checkTiming adds what is wrong with the timing at a path of the document.
func checkTiming(t schemas.Timing, path []string, doc *document, p *problems) {
	if err := checkCron(t.Cron); err != nil {
		p.add(doc.at(child(path, "cron")...), "%v", err)
	}
	if t.TimeZone == "" {
		return
	}
	_, err := time.LoadLocation(t.TimeZone)
	if err != nil || strings.EqualFold(t.TimeZone, "local") {
		p.add(doc.at(child(path, "timeZone")...), "there is no time zone %s; use a name of the IANA list, such as Europe/Oslo or America/New_York", quote(t.TimeZone))
	}
}
