package matcher

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wall reports whether a run starts when the wall clock shows a time.
type wall func(time.Time) bool

var (
	clocked  = regexp.MustCompile(`^(.+) at (\d\d:\d\d(?:(?:, | and )\d\d:\d\d)*)$`)
	spread   = regexp.MustCompile(`^(.+), ((?:every|at minute).*)$`)
	daily    = regexp.MustCompile(`^every day(?: in (.+))?$`)
	dated    = regexp.MustCompile(`^on days? (.+?) of (.+?)(?: if it is a (.+))?$`)
	weekly   = regexp.MustCompile(`^every (.+?)(?: in (.+))?$`)
	stepped  = regexp.MustCompile(`^every (?:minute|(\d+) minutes)(?: of hours? (.+))?$`)
	minutely = regexp.MustCompile(`^at minutes? (.+) of (?:every hour|hours? (.+))$`)
	between  = regexp.MustCompile(`, | and | or `)
)

// read returns what the words of a schedule mean to a reader who knows nothing of cron.
func read(t *testing.T, words string) wall {
	t.Helper()
	var all []wall
	for phrase := range strings.SplitSeq(words, "; and ") {
		days, times := "every day", phrase
		if m := clocked.FindStringSubmatch(phrase); m != nil {
			days, times = m[1], m[2]
		} else if m := spread.FindStringSubmatch(phrase); m != nil {
			days, times = m[1], m[2]
		}
		day, at := readDays(t, days), readTimes(t, times)
		all = append(all, func(w time.Time) bool { return day(w) && at(w) })
	}
	return func(w time.Time) bool { return slices.ContainsFunc(all, func(f wall) bool { return f(w) }) }
}

func readDays(t *testing.T, days string) wall {
	t.Helper()
	if m := daily.FindStringSubmatch(days); m != nil {
		months := members(t, m[1], 12, monthNumber)
		return func(w time.Time) bool { return months[int(w.Month())] }
	}
	if m := dated.FindStringSubmatch(days); m != nil {
		if m[2] == "every month" {
			m[2] = ""
		}
		dates, months, weekdays := members(t, m[1], 31, strconv.Atoi), members(t, m[2], 12, monthNumber), members(t, m[3], 7, weekdayNumber)
		return func(w time.Time) bool { return dates[w.Day()] && months[int(w.Month())] && weekdays[weekday(w)] }
	}
	m := weekly.FindStringSubmatch(days)
	if m == nil {
		t.Fatalf("no days: %q", days)
	}
	weekdays, months := members(t, m[1], 7, weekdayNumber), members(t, m[2], 12, monthNumber)
	return func(w time.Time) bool { return weekdays[weekday(w)] && months[int(w.Month())] }
}

func readTimes(t *testing.T, times string) wall {
	t.Helper()
	if times == "every hour on the hour" {
		return func(w time.Time) bool { return w.Minute() == 0 }
	}
	if m := stepped.FindStringSubmatch(times); m != nil {
		step := 1
		if m[1] != "" {
			step, _ = strconv.Atoi(m[1])
		}
		hours := members(t, m[2], 23, strconv.Atoi)
		return func(w time.Time) bool { return w.Minute()%step == 0 && hours[w.Hour()] }
	}
	if m := minutely.FindStringSubmatch(times); m != nil {
		minutes, hours := members(t, m[1], 59, strconv.Atoi), members(t, m[2], 23, strconv.Atoi)
		return func(w time.Time) bool { return minutes[w.Minute()] && hours[w.Hour()] }
	}
	var clock []string
	for _, c := range between.Split(times, -1) {
		if _, err := time.Parse("15:04", c); err != nil {
			t.Fatalf("no times: %q", times)
		}
		clock = append(clock, c)
	}
	return func(w time.Time) bool { return slices.Contains(clock, w.Format("15:04")) }
}

// members reads a list with ranges; an empty one has all up to most.
func members(t *testing.T, text string, most int, number func(string) (int, error)) map[int]bool {
	t.Helper()
	out := map[int]bool{}
	if text == "" {
		for i := range most + 1 {
			out[i] = true
		}
		return out
	}
	for _, part := range between.Split(text, -1) {
		first, last, ranged := strings.Cut(part, " to ")
		from, err := number(first)
		to := from
		if err == nil && ranged {
			to, err = number(last)
		}
		if err != nil {
			t.Fatalf("%q in %q: %v", part, text, err)
		}
		for ; from <= to; from++ {
			out[from] = true
		}
	}
	return out
}

func weekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 } // Monday is 1

func weekdayNumber(name string) (int, error) {
	for d := range 7 {
		if time.Weekday((d+1)%7).String() == name {
			return d + 1, nil
		}
	}
	return 0, fmt.Errorf("no day of the week")
}

func monthNumber(name string) (int, error) {
	for m := time.January; m <= time.December; m++ {
		if m.String() == name {
			return int(m), nil
		}
	}
	return 0, fmt.Errorf("no month")
}
