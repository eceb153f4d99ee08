package timing

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/spelling"
)

// cron has the values that each field of an expression matches, as bits. A time matches if all
// fields do.
type cron struct{ minute, hour, day, month, weekday uint64 }

// field is a field of a cron expression with Temporal's bounds.
type field struct {
	name        string
	least, most int
	// words stand for numbers, beginning with least. letters is the length of the shortest
	// valid abbreviation.
	words   []string
	letters int
}

var (
	fields = [5]field{
		{name: "minute", most: 59},
		{name: "hour", most: 23},
		{name: "day of the month", least: 1, most: 31},
		{name: "month", least: 1, most: 12, letters: 3, words: strings.Fields("january february march april may june july august september october november december")},
		{name: "day of the week", most: 6, letters: 2, words: strings.Fields("sunday monday tuesday wednesday thursday friday saturday")},
	}
	named = map[string]string{
		"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
		"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	}
	cronWords = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@every 6h"}
)

// parseCron parses a cron expression. It refuses what Temporal refuses, what Temporal reads in
// another way than POSIX cron, and what never starts.
func parseCron(expression string) (rule, error) {
	if strings.HasPrefix(expression, "TZ=") || strings.HasPrefix(expression, "CRON_TZ=") {
		return rule{}, errors.New("set the time zone in timeZone, not in cron")
	}
	text, _, commented := strings.Cut(expression, "#")
	if commented && text != "" && strings.TrimRight(text, " \t") == text {
		return rule{}, fmt.Errorf(`cron can't have "#": in Quartz "1#2" is the second Monday of a month, and Temporal would ignore all from "#" on; write the dates of that week, ` +
			`such as {every: day, at: "04:00", on: mon, dates: [8, 9, 10, 11, 12, 13, 14]}`)
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "@every") {
		return parseEvery(text)
	}
	if strings.HasPrefix(text, "@") {
		same, ok := named[text]
		if !ok {
			return rule{}, fmt.Errorf("cron can't be %s%s", quote(text), spelling.DidYouMean(text, cronWords))
		}
		text = same
	}
	values := strings.Fields(text)
	switch len(values) {
	case 5:
	case 6:
		return rule{}, sixFields(values)
	case 7:
		err := errors.New("cron has seven fields, with seconds and years, which a schedule can't set; write five: minute, hour, day of the month, month and day of the week")
		if words, ok := reading(values[1:6]); ok {
			err = fmt.Errorf("cron has seven fields, with seconds and years, which a schedule can't set; write %q to start %s", strings.Join(values[1:6], " "), words)
		}
		return rule{}, err
	default:
		return rule{}, fmt.Errorf("cron has %d fields; it needs five: minute, hour, day of the month, month and day of the week, "+
			`such as "0 4 * * *" for every day at four`, len(values))
	}
	c, err := parseFields(values)
	switch {
	case err != nil:
		return rule{}, err
	case c.never():
		return rule{}, fmt.Errorf("cron never starts: %s no day %s", c.monthNames(), spans(c.day, 31, strconv.Itoa, "or"))
	case values[2] != "*" && values[4] != "*":
		return rule{}, bothDays(values, c)
	}
	return rule{text: strings.Join(values, " "), cron: c}, nil
}

func parseFields(values []string) (cron, error) {
	var sets [5]uint64
	for i, f := range fields {
		var err error
		if sets[i], err = f.set(values[i]); err != nil {
			return cron{}, err
		}
	}
	return cron{sets[0], sets[1], sets[2], sets[3], sets[4]}, nil
}

// reading returns the meaning of five fields in words. ok reports whether they are valid.
func reading(values []string) (words string, ok bool) {
	r, err := parseCron(strings.Join(values, " "))
	if err != nil {
		return "", false
	}
	return (&Spec{rules: []rule{r}}).words(), true
}

// sixFields returns why six fields are refused: Temporal takes the last one for the year, and
// Spring, Quartz and others the first one for the second.
func sixFields(values []string) error {
	year, second := values[:5], values[1:]
	asYear, okYear := reading(year)
	asSecond, okSecond := reading(second)
	switch {
	case okYear && okSecond && values[5] == "*":
		return fmt.Errorf("cron has six fields, which are read in two ways: with the year as the last (%s), as Temporal does, or with the second as the first (%s), as many programs do; write %q for the former, or %q for the latter",
			asYear, asSecond, strings.Join(year, " "), strings.Join(second, " "))
	case okSecond:
		return fmt.Errorf("cron has six fields; seconds can't be set: write %q to start %s", strings.Join(second, " "), asSecond)
	case okYear:
		return fmt.Errorf("cron has six fields; years can't be set: write %q to start %s", strings.Join(year, " "), asYear)
	}
	return errors.New("cron has six fields; it needs five: minute, hour, day of the month, month and day of the week")
}

// bothDays returns why an expression with both days is refused: POSIX wants either of them to
// match, and Temporal both.
func bothDays(values []string, c cron) error {
	byDate, byWeekday := slices.Clone(values), slices.Clone(values)
	byDate[4], byWeekday[2] = "*", "*"
	one, two := c, c
	one.weekday, two.day = fields[4].all(), fields[2].all()
	either := (&Spec{rules: []rule{{cron: one}, {cron: two}}}).words()
	both := (&Spec{rules: []rule{{cron: c}}}).words()
	how := fmt.Sprintf(`cron: [%q, %q]`, strings.Join(byDate, " "), strings.Join(byWeekday, " "))
	text := fmt.Sprintf("cron has both a day of the month and a day of the week: in POSIX cron either has to match (%s), in Temporal both (%s); write %s for the former", either, both, how)
	if plain, ok := c.plainWords(); ok {
		return fmt.Errorf("%s, or %s for the latter", text, plain)
	}
	return fmt.Errorf("%s; the latter can't be written for so many times of the day, or for certain months only", text)
}

// plainWords returns the expression without cron. ok reports whether that is possible.
func (c cron) plainWords() (text string, ok bool) {
	clock := c.clock()
	if len(clock) == 0 || c.month != fields[3].all() {
		return "", false
	}
	var at, on []string
	for _, m := range clock {
		at = append(at, strconv.Quote(clockTime(m)))
	}
	for _, d := range values(c.weekday) {
		on = append(on, fields[4].words[d][:3])
	}
	dates := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(values(c.day))), ", "), "[]")
	return fmt.Sprintf("{every: day, at: [%s], on: [%s], dates: [%s]}", strings.Join(at, ", "), strings.Join(on, ", "), dates), true
}

// daysOf has the most days that the months have, from January.
var daysOf = [12]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// never reports whether no month that matches has a day that matches.
func (c cron) never() bool {
	for _, m := range values(c.month) {
		if c.day&(1<<(daysOf[m-1]+1)-1) != 0 {
			return false
		}
	}
	return true
}

// monthNames returns the months as the subject of a sentence about what they have not.
func (c cron) monthNames() string {
	verb := "has"
	if bits.OnesCount64(c.month) > 1 {
		verb = "have"
	}
	return spans(c.month, 12, monthName, "and") + " " + verb
}

// matches reports whether the wall clock shows a time of the expression.
func (c cron) matches(t time.Time) bool {
	return c.minute>>t.Minute()&1 != 0 && c.hour>>t.Hour()&1 != 0 && c.day>>t.Day()&1 != 0 &&
		c.month>>int(t.Month())&1 != 0 && c.weekday>>int(t.Weekday())&1 != 0
}

func parseEvery(text string) (rule, error) {
	_, given, _ := strings.Cut(text, " ")
	span, after, phased := strings.Cut(given, "/")
	every, err := time.ParseDuration(span)
	var phase time.Duration
	if err == nil && phased {
		phase, err = time.ParseDuration(after)
	}
	switch {
	case err != nil:
		return rule{}, errors.New("@every needs a duration such as 6h or 1h30m")
	case atLeast(every) != nil:
		return rule{}, atLeast(every)
	case phase < 0 || phase >= every || phase%time.Second != 0:
		return rule{}, errors.New("the phase of @every (after the /) must be shorter than the interval, and in whole seconds")
	}
	return rule{text: text, every: every, phase: phase}, nil
}

// all returns the set of all values.
func (f field) all() uint64 { return (1<<(f.most+1) - 1) &^ (1<<f.least - 1) }

// set parses a field: *, numbers and ranges, each with an optional step, separated by commas.
func (f field) set(value string) (set uint64, err error) {
	highest := f.most
	if f.words != nil && f.least == 0 {
		highest = 7 // Sunday, as 0
	}
	for part := range strings.SplitSeq(value, ",") {
		span, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			if every, err = strconv.Atoi(step); err != nil || every < 1 {
				return 0, fmt.Errorf("cron's %s has the step %s; it must be a whole number from 1", f.name, quote(step))
			}
		}
		from, to := f.least, highest
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			var ok bool
			from, ok = f.number(first)
			if to = from; ok && ranged {
				to, ok = f.number(last)
			} else if stepped {
				to = highest
			}
			switch {
			case !ok:
				return 0, f.dialect(span, highest)
			case to < from:
				return 0, fmt.Errorf("cron's %s has a range that goes backwards: %s", f.name, quote(span))
			}
		}
		for v := from; v <= to; v += every {
			set |= 1 << v
		}
	}
	if highest == 7 && set&(1<<7) != 0 {
		set = set&^(1<<7) | 1
	}
	return set, nil
}

// dialect returns why a part of a field is wrong. It explains what other programs know.
func (f field) dialect(span string, highest int) error {
	upper := strings.ToUpper(span)
	why := fmt.Sprintf("it must be from %d to %d", f.least, highest)
	switch {
	case upper == "?":
		why = "in Quartz that is any value; write *"
	case strings.HasPrefix(upper, "H"):
		why = "in Jenkins H is a value that it picks; write a number, and spread the starts with jitter, such as jitter: 30m"
	case f.most == 31 && strings.Contains(upper, "W"):
		why = "in Quartz W is the nearest working day, which Temporal does not know; write a day of the month, or days of the week"
	case f.most == 31 && strings.HasPrefix(upper, "L"):
		why = "in Quartz L is the last day of the month, which Temporal does not know; write 1 for the day after it, or 28"
	case f.most == 6 && (upper == "L" || len(upper) > 1 && strings.HasSuffix(upper, "L")):
		why = "in Quartz L is the last such day of the month, which Temporal does not know; write a day of the week, or a day of the month"
	}
	return fmt.Errorf("cron's %s can't be %s; %s", f.name, quote(span), why)
}

func (f field) number(s string) (int, bool) {
	if f.letters > 0 && len(s) >= f.letters {
		for i, w := range f.words {
			if strings.HasPrefix(w, strings.ToLower(s)) {
				return f.least + i, true
			}
		}
	}
	n, err := strconv.Atoi(s)
	highest := f.most
	if f.words != nil && f.least == 0 {
		highest = 7
	}
	return n, err == nil && n >= f.least && n <= highest
}

// values returns the members of a set.
func values(set uint64) []int {
	var out []int
	for ; set != 0; set &= set - 1 {
		out = append(out, bits.TrailingZeros64(set))
	}
	return out
}
