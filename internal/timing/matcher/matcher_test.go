// Package matcher has the tests that hold package timing to the matcher of Temporal's server.
package matcher

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/server/service/worker/scheduler"
	"google.golang.org/protobuf/types/known/durationpb"

	"iterable-segment-export/internal/timing"
	"iterable-segment-export/schemas"
)

// now is a time before both changes of the clocks in 2027.
var now = time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)

var builder = scheduler.NewSpecBuilder(func() int { return 0 }, func() int { return 0 })

// matcher is Temporal's, for the expressions of a schedule.
type matcher struct {
	t *testing.T
	*scheduler.CompiledSpec
}

func compile(t *testing.T, zone string, expressions ...string) (matcher, error) {
	c, err := builder.NewCompiledSpec(&schedulepb.ScheduleSpec{CronString: expressions, TimezoneName: zone})
	return matcher{t, c}, err
}

// next returns the first start after a time, or zero.
func (m matcher) next(after time.Time) time.Time {
	r, err := m.GetNextTime("", after)
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Next
}

// starts returns the starts within a span of time.
func (m matcher) starts(from, to time.Time) map[int64]bool {
	out := map[int64]bool{}
	for at := m.next(from.Add(-time.Second)); !at.IsZero() && at.Before(to); at = m.next(at) {
		out[at.Unix()] = true
	}
	return out
}

// same compares the matcher with the words of a schedule, minute by minute.
func (m matcher) same(words string, is wall, from, to time.Time, zone *time.Location) {
	m.t.Helper()
	starts := m.starts(from, to)
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if w := at.In(zone); starts[at.Unix()] != is(w) {
			m.t.Fatalf("%q: Temporal starts at %v: %v", words, w, starts[at.Unix()])
		}
	}
}

// TestAJitterEndsAtTheNextStart, as the words of a schedule say.
func TestAJitterEndsAtTheNextStart(t *testing.T) {
	const jitter = 26 * time.Hour
	if got, want := timing.Later(jitter), ", up to 26 hours later but not past the next start"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c, err := builder.NewCompiledSpec(&schedulepb.ScheduleSpec{CronString: []string{"0 4 * * *"}, Jitter: durationpb.New(jitter)})
	if err != nil {
		t.Fatal(err)
	}
	longest := time.Duration(0)
	for seed := range 1000 {
		at, err := c.GetNextTime(strconv.Itoa(seed), now)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, at.Next.Sub(at.Nominal))
	}
	if longest < 23*time.Hour || longest > 24*time.Hour {
		t.Errorf("the longest delay is %s", longest)
	}
}

// field makes up a field of a cron expression.
func field(r *rand.Rand, least, most int, names []string) string {
	value := func() string {
		if len(names) > 0 && r.IntN(3) == 0 {
			n := names[r.IntN(len(names))]
			return n[:3+r.IntN(len(n)-2)]
		}
		return strconv.Itoa(least + r.IntN(most-least+1))
	}
	var parts []string
	for range 1 + r.IntN(3)*r.IntN(2) {
		switch r.IntN(6) {
		case 0:
			parts = append(parts, fmt.Sprintf("*/%d", 1+r.IntN(most)))
		case 1:
			parts = append(parts, value()+"-"+value())
		case 2:
			parts = append(parts, fmt.Sprintf("%s-%s/%d", value(), value(), 1+r.IntN(4)))
		case 3:
			parts = append(parts, fmt.Sprintf("%s/%d", value(), 1+r.IntN(most)))
		default:
			parts = append(parts, value())
		}
	}
	return strings.Join(parts, ",")
}

var (
	months = strings.Fields("January february MARCH april may june july august september october november december")
	days   = strings.Fields("sunday monday Tuesday wednesday THURSDAY friday saturday")
)

// expression makes up a cron expression. Some are not valid.
func expression(r *rand.Rand) string {
	f := []string{field(r, 0, 59, nil), field(r, 0, 23, nil), field(r, 1, 31, nil), field(r, 1, 12, months), field(r, 0, 7, days)}
	for i := range f {
		if r.IntN(3) == 0 || i > 1 && r.IntN(2) == 0 {
			f[i] = "*"
		}
	}
	return strings.Join(f, " ")
}

// TestWordsMeanWhatTemporalDoes holds made-up expressions against Temporal's matcher: it accepts
// what we accept, there is a start, and starts are where the words say.
func TestWordsMeanWhatTemporalDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 26))
	accepted, refused := 0, map[string]int{}
	for range 6000 {
		text := expression(r)
		spec, err := timing.Parse(schemas.Timing{Cron: schemas.OneOrMore{text}})
		m, theirs := compile(t, "", text)
		switch {
		case err != nil && strings.Contains(err.Error(), "never starts"):
			if theirs != nil || !m.next(now).IsZero() {
				t.Errorf("%q is refused (%v), and Temporal starts it: %v", text, err, theirs)
			}
			refused["never"]++
		case err != nil && strings.Contains(err.Error(), "both a day"):
			refused["both"]++
		case err != nil:
			if theirs == nil {
				t.Errorf("%q is refused (%v), and Temporal accepts it", text, err)
			}
			refused["wrong"]++
		case theirs != nil:
			t.Errorf("%q is accepted, and Temporal says %v", text, theirs)
		default:
			accepted++
			first := m.next(now)
			if first.IsZero() {
				t.Fatalf("%q never starts", text)
			}
			words := strings.TrimSuffix(spec.Words(), " UTC")
			m.same(words, read(t, words), first.Add(-30*time.Hour), first.Add(30*time.Hour), time.UTC)
		}
	}
	if accepted < 1000 || refused["never"] == 0 || refused["both"] < 100 || refused["wrong"] < 100 {
		t.Errorf("%d accepted, refused %v", accepted, refused)
	}
}

// TestPlainSchedules holds schedules without cron, and lists of expressions, against the matcher.
func TestPlainSchedules(t *testing.T) {
	for want, of := range map[string]schemas.Timing{
		"every day at 04:00 Europe/Oslo":                         {Every: "day", At: schemas.OneOrMore{"04:00"}, TimeZone: "Europe/Oslo"},
		"every Monday and Thursday at 04:00 and 16:30 UTC":       {Every: "day", At: schemas.OneOrMore{"16:30", "4:00"}, On: schemas.OneOrMore{"thu", "mon"}},
		"on days 1 and 15 of every month at 04:00 UTC":           {Every: "day", At: schemas.OneOrMore{"04:00"}, Dates: []int{15, 1}},
		"on day 1 of every month if it is a Monday at 04:00 UTC": {Every: "day", At: schemas.OneOrMore{"04:00"}, On: schemas.OneOrMore{"Monday"}, Dates: []int{1}},
		"on day 1 of every month at 04:00; and every Monday at 04:00 UTC": {
			Cron: schemas.OneOrMore{"0 4 1 * *", "0 4 * * 1"}},
		"every 15 minutes of hours 8 to 17 UTC":       {Cron: schemas.OneOrMore{"*/15 8-17 * * *"}},
		"every Saturday and Sunday, every minute UTC": {Cron: schemas.OneOrMore{"* * * * 6-7 # weekends"}},
		"every day in July at 00:00 UTC":              {Cron: schemas.OneOrMore{"0 0 * jul *"}},
		"every day at 00:00 UTC":                      {Cron: schemas.OneOrMore{"@daily"}},
		"every hour on the hour Asia/Tokyo":           {Cron: schemas.OneOrMore{"@hourly"}, TimeZone: "Asia/Tokyo"},
	} {
		spec, err := timing.Parse(of)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got := spec.Words(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		zone, err := time.LoadLocation(of.TimeZone)
		if err != nil {
			t.Fatal(err)
		}
		m, err := compile(t, of.TimeZone, spec.Expressions()...)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.TrimSuffix(want, " "+zone.String())
		m.same(words, read(t, words), now, now.Add(40*24*time.Hour), zone)
	}
}

// TestIntervals holds intervals against the matcher: those that divide the day start at the time
// that the words name.
func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		timing schemas.Timing
		words  string
		first  string // after now
		every  time.Duration
	}{
		{schemas.Timing{Every: "6h", TimeZone: "Europe/Oslo"}, "every 6 hours from 00:00 UTC (starts shown in Europe/Oslo)", "2026-11-26 18:00:00", 6 * time.Hour},
		{schemas.Timing{Every: "1h30m"}, "every 1 hour and 30 minutes from 00:00 UTC", "2026-11-26 13:30:00", 90 * time.Minute},
		{schemas.Timing{Cron: schemas.OneOrMore{"@every 6h/30m"}}, "every 6 hours from 00:30 UTC", "2026-11-26 12:30:00", 6 * time.Hour},
		{schemas.Timing{Cron: schemas.OneOrMore{"@every 24h/5h"}}, "every 24 hours from 05:00 UTC", "2026-11-27 05:00:00", 24 * time.Hour},
		{schemas.Timing{Cron: schemas.OneOrMore{"@every 7h"}}, "every 7 hours, counted from 00:00 UTC on 1 January 1970, so at other times each day (starts shown in UTC)", "2026-11-26 14:00:00", 7 * time.Hour},
	} {
		spec, err := timing.Parse(c.timing)
		if err != nil {
			t.Fatal(err)
		}
		m, err := compile(t, c.timing.TimeZone, spec.Expressions()...)
		if err != nil {
			t.Fatal(err)
		}
		first := m.next(now)
		if spec.Words() != c.words || first.UTC().Format(time.DateTime) != c.first || m.next(first).Sub(first) != c.every {
			t.Errorf("%q: first %v, then %v", spec.Words(), first.UTC(), m.next(first).Sub(first))
		}
	}
	for _, text := range []string{"@every 6h/6h", "@every 6h/7h", "@every 90.5s"} {
		if _, err := timing.Parse(schemas.Timing{Cron: schemas.OneOrMore{text}}); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// TestJitterEndsAtTheNextStart: Temporal delays no start past the next one.
func TestJitterEndsAtTheNextStart(t *testing.T) {
	const hour = time.Hour
	c, err := builder.NewCompiledSpec(&schedulepb.ScheduleSpec{CronString: []string{"0 * * * *"}, Jitter: durationpb.New(26 * hour)})
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for seed := range 200 {
		r, err := c.GetNextTime(strconv.Itoa(seed), now)
		if err != nil {
			t.Fatal(err)
		}
		delay := r.Next.Sub(r.Nominal)
		if delay < 0 || delay > hour {
			t.Errorf("%s is %s after %s", r.Next, delay, r.Nominal)
		}
		if delay > hour/2 {
			late++
		}
	}
	if late == 0 {
		t.Error("no start is delayed")
	}
}

// TestChangesOfTheClocks holds warnings against the matcher, in zones that change their clocks at
// various times of the day.
func TestChangesOfTheClocks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 10))
	seen := map[string]int{}
	for _, name := range []string{"Europe/Oslo", "America/New_York", "Africa/Cairo", "Atlantic/Azores", "Australia/Sydney", "America/Santiago", "Asia/Beirut", "America/Havana"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			text := fmt.Sprintf("%s %s * * *", field(r, 0, 59, nil), field(r, 0, 23, nil))
			spec, err := timing.Parse(schemas.Timing{Cron: schemas.OneOrMore{text}, TimeZone: name})
			if err != nil {
				continue
			}
			m, err := compile(t, name, text)
			if err != nil {
				t.Fatal(err)
			}
			warned := map[int64]timing.ClockChange{}
			for _, c := range spec.ClockChanges(now, now.AddDate(1, 0, 0)) {
				warned[c.At.Unix()] = c
			}
			is := read(t, strings.TrimSuffix(spec.Words(), " "+name))
			always := everyHour(is)
			for _, change := range changes(zone) {
				c, ok := warned[change.Unix()]
				lost := affected(change, zone, is)
				switch {
				case !ok && (len(lost) == 0 || always):
					seen["nothing"]++
					continue
				case !ok || len(lost) != len(c.Starts):
					t.Errorf("%s in %s, %v: warned of %v, want %v", text, name, change, c.Starts, lost)
					continue
				}
				m.warned(c, is, zone, seen)
			}
		}
	}
	for _, what := range []string{"nothing", "skipped", "once", "twice"} {
		if seen[what] < 20 {
			t.Errorf("%s: %d times", what, seen[what])
		}
	}
}

// warned compares a warning with what the matcher does.
func (m matcher) warned(c timing.ClockChange, is wall, zone *time.Location, seen map[string]int) {
	m.t.Helper()
	from, to := c.Window()
	starts := m.starts(from, to)
	var all []time.Time
	for at := range starts {
		all = append(all, time.Unix(at, 0))
	}
	text := c.Warning(all)
	if c.Ahead > 0 {
		seen["skipped"]++
		m.same(text, is, c.At.Add(-4*time.Hour), c.At.Add(4*time.Hour), zone)
		if !strings.Contains(text, "no run starts at ") {
			m.t.Errorf("%s", text)
		}
		return
	}
	times := map[string]int{} // by the wall clock
	for _, at := range all {
		times[at.In(zone).Format("15:04")]++
	}
	_, told, _ := strings.Cut(text, ": ")
	for _, at := range c.Starts {
		clock := at.Format("15:04")
		count := times[clock]
		seen[[]string{"left out", "once", "twice"}[count]]++
		for n, words := range []string{"no run starts at ", "one run starts at ", "two runs start at "} {
			_, list, _ := strings.Cut(told, words)
			list, _, _ = strings.Cut(list, ";")
			if strings.Contains(list, clock) && n != count || n == count && list == "" {
				m.t.Errorf("%q: Temporal starts %s %d times", text, clock, count)
			}
		}
	}
}

// changes returns when the clocks of a zone change within a year, hour by hour.
func changes(zone *time.Location) (out []time.Time) {
	for at := now; at.Before(now.AddDate(1, 0, 0)); at = at.Add(time.Hour) {
		_, before := at.Add(-time.Second).In(zone).Zone()
		if _, after := at.In(zone).Zone(); before != after {
			out = append(out, at)
		}
	}
	return out
}

// affected returns the starts of the hour that a change skips or repeats.
func affected(change time.Time, zone *time.Location, is wall) (out []string) {
	_, before := change.Add(-time.Second).In(zone).Zone()
	_, after := change.In(zone).Zone()
	first := change.In(time.FixedZone("", min(before, after)))
	for w := first; w.Before(first.Add(time.Hour)); w = w.Add(time.Minute) {
		if is(w) {
			out = append(out, w.Format("15:04"))
		}
	}
	return out
}

// everyHour reports whether there is a start in each hour of the day.
func everyHour(is wall) bool {
	hours := map[int]bool{}
	for w := now; w.Before(now.Add(24 * time.Hour)); w = w.Add(time.Minute) {
		if is(w) {
			hours[w.Hour()] = true
		}
	}
	return len(hours) == 24
}
