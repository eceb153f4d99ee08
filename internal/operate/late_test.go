package operate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// lateWorld is an export with a daily schedule, its runs, and the looks at it.
type lateWorld struct {
	daily   bool // Temporal tells of the starts after the one that is due
	t       *testing.T
	watched schemas.Watched
	runs    []ranRun
	waits   bool
	skipped map[string]bool // by run ID: those that skipped every segment
}

var due = time.Date(2026, time.November, 26, 4, 0, 0, 0, time.UTC)

// look looks at a time, and returns the events.
func (w *lateWorld) look(at time.Time) string {
	w.t.Helper()
	next := due
	for !next.After(at) {
		next = next.AddDate(0, 0, 1)
	}
	l := late{Watched: w.watched, a: Applied{Next: next}, runs: w.runs, now: at}
	l.skipped = func(r Run) (bool, error) { return w.skipped[r.RunID], nil }
	l.running = func(Run) bool { return !w.waits }
	l.next = func(after time.Time) (time.Time, error) {
		if after = after.AddDate(0, 0, 1); !w.daily || after.After(at) {
			after = time.Time{}
		}
		return after, nil
	}
	err := l.overdue()
	err = errors.Join(err, l.undone([]time.Time{next, next.AddDate(0, 0, 1)}))
	l.slow()
	if err = errors.Join(err, l.recovered()); err != nil {
		w.t.Fatal(err)
	}
	w.watched = l.Watched
	var out []string
	for _, f := range l.found {
		out = append(out, f.Event+" "+f.Late.Message(f.Event))
	}
	return strings.Join(out, "; ")
}

// run adds a run; one that takes no time is under way.
func (w *lateWorld) run(id string, began time.Time, takes time.Duration, done bool) {
	r := ranRun{Run: Run{RunID: id}, began: began, done: done}
	if takes > 0 {
		r.ended = began.Add(takes)
	}
	w.runs = append([]ranRun{r}, w.runs...)
}

func (w *lateWorld) want(at time.Time, want string) {
	w.t.Helper()
	if got := w.look(at); got != want {
		w.t.Errorf("at %s: %q, want %q", at.Format(time.DateTime), got, want)
	}
}

// TestOverdue has a run begin in time, too late and not at all, with the default catch-up of an
// hour.
func TestOverdue(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	began := func(after time.Duration) func(*lateWorld) {
		return func(w *lateWorld) { w.run("a", due.Add(after), minute, true) }
	}
	for _, c := range []struct {
		name  string
		run   func(*lateWorld)
		looks map[time.Duration]string // in the order of time
	}{
		{"in time", began(0), map[time.Duration]string{2 * hour: ""}},
		{"within the catch-up", began(55 * minute), map[time.Duration]string{2 * hour: ""}},
		{"too late", began(3 * hour), map[time.Duration]string{
			4 * hour: "overdue the run that was due at 26 Nov 2026 04:00 UTC began only at 26 Nov 2026 07:00 UTC; recovered a run is done again", 5 * hour: ""}},
		{"a run was under way", func(w *lateWorld) { w.run("a", due.Add(-hour), 0, false) }, map[time.Duration]string{9 * hour: ""}},
		{"not at all", func(*lateWorld) {}, map[time.Duration]string{
			hour: "", 2 * hour: "overdue the run that was due at 26 Nov 2026 04:00 UTC has not begun", 3 * hour: "", 30 * hour: ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &lateWorld{t: t}
			w.want(due.Add(-2*hour), "") // learns what is due
			c.run(w)
			for _, after := range []time.Duration{hour, 2 * hour, 3 * hour, 4 * hour, 5 * hour, 9 * hour, 30 * hour} {
				if want, ok := c.looks[after]; ok {
					w.want(due.Add(after), want)
				}
			}
		})
	}
}

// TestAllStartsSinceTheLastLook are judged: the worker may have been down at one of them.
func TestAllStartsSinceTheLastLook(t *testing.T) {
	const hour = time.Hour
	w := &lateWorld{t: t, daily: true}
	w.want(due.Add(-2*hour), "") // learns what is due
	w.run("a", due, time.Minute, true)
	w.run("b", due.Add(27*hour), time.Minute, true)
	w.want(due.Add(28*hour), "overdue the run that was due at 27 Nov 2026 04:00 UTC began only at 27 Nov 2026 07:00 UTC; recovered a run is done again")
	w.run("c", due.Add(48*hour), time.Minute, true)
	w.want(due.Add(50*hour), "")
	w.run("d", due.Add(72*hour), time.Minute, true)
	w.want(due.Add(98*hour), "overdue the run that was due at 30 Nov 2026 04:00 UTC has not begun")
}

// TestAPauseBetweenLooks has a schedule be paused and resumed at several times between two
// looks. A start is not due any more if the schedule was paused then.
func TestAPauseBetweenLooks(t *testing.T) {
	looked := due.Add(-time.Hour)
	for _, c := range []struct {
		updated time.Time
		want    time.Time
	}{
		{time.Time{}, due},
		{looked.Add(-time.Hour), due},
		{due.Add(-time.Minute), due}, // it was resumed before the start
		{due.Add(time.Minute), time.Time{}},
	} {
		if got := dueAfter(due, looked, c.updated); !got.Equal(c.want) {
			t.Errorf("updated %s: due %s, want %s", c.updated, got, c.want)
		}
	}
	if got := dueAfter(due, due.Add(2*time.Hour), due.Add(time.Hour)); !got.Equal(due) {
		t.Errorf("updated before the last look, which found the start due: %s", got)
	}
	f := &oneExport{}
	f.schedule.paused = true
	if err := (&Session{Client: f, Who: schemas.Person{Name: "Ann"}}).Resume(t.Context(), Applied{}); err != nil || f.schedule.paused {
		t.Errorf("paused %v, %v", f.schedule.paused, err)
	}
	if f.schedule.note != "Resumed by Ann" {
		t.Errorf("note %q", f.schedule.note)
	}
}

// TestRecovered has an overdue export fail first, and then be done.
func TestRecovered(t *testing.T) {
	w := &lateWorld{t: t}
	w.want(due.Add(-time.Hour), "")
	w.want(due.Add(2*time.Hour), "overdue the run that was due at 26 Nov 2026 04:00 UTC has not begun")
	w.run("failed", due.Add(3*time.Hour), time.Minute, false)
	w.want(due.Add(4*time.Hour), "")
	w.run("done", due.Add(5*time.Hour), time.Minute, true)
	w.want(due.Add(6*time.Hour), "recovered a run is done again")
	w.want(due.Add(7*time.Hour), "")
}

// TestUndone has runs begin in time every day, and none be done: an export is told of a day later,
// and again when a run is done.
func TestUndone(t *testing.T) {
	const day, hour, minute = 24 * time.Hour, time.Hour, time.Minute
	const undone = "overdue a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then"
	daily := func(done, skipped bool) func(*lateWorld, int) {
		return func(w *lateWorld, i int) {
			id := time.Duration(i).String()
			w.run(id, due.AddDate(0, 0, i), 10*minute, done)
			w.skipped[id] = skipped
		}
	}
	for _, c := range []struct {
		name  string
		begin func(w *lateWorld, day int)
		want  string
	}{
		{"done", daily(true, false), ""},
		{"skipped", daily(true, true), undone},
		{"aborted, cancelled or failed", daily(false, false), undone},
		{"under way for days", func(w *lateWorld, i int) {
			if i == 0 {
				w.run("before", due.AddDate(0, 0, -1), minute, true)
				w.run("long", due, 0, false)
			}
		}, undone},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &lateWorld{t: t, skipped: map[string]bool{}}
			w.want(due.Add(-hour), "")
			c.begin(w, 0)
			w.want(due.Add(hour), "")
			w.want(due.Add(20*hour), "")
			c.begin(w, 1)
			w.want(due.Add(day+hour), "") // a run may begin an hour late
			w.want(due.Add(day+2*hour), c.want)
			w.want(due.Add(day+3*hour), "")
			late := ""
			if c.want != "" {
				late = "overdue: a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then"
			}
			if got := w.watched.Late(); got != late {
				t.Errorf("late %q, want %q", got, late)
			}
			c.begin(w, 2)
			w.want(due.Add(2*day+hour), "")
			w.run("done", due.Add(2*day+2*hour), hour, true)
			again := ""
			if c.want != "" {
				again = "recovered a run is done again"
			}
			w.want(due.Add(2*day+4*hour), again)
			w.want(due.Add(2*day+5*hour), "")
			if w.watched.Undone {
				t.Error("it has not recovered")
			}
		})
	}
}

// TestUndoneInTheTimeThatRunsTake: runs that take longer than the interval of their schedule are
// no reason.
func TestUndoneInTheTimeThatRunsTake(t *testing.T) {
	w := &lateWorld{t: t}
	for i := range 3 {
		w.run("old", due.AddDate(0, 0, 2*i-8), 40*time.Hour, true)
	}
	w.want(due.Add(-time.Hour), "")
	w.run("new", due, 40*time.Hour, true)
	w.runs[0].ended, w.runs[0].done = time.Time{}, false
	w.want(due.Add(39*time.Hour), "")
	w.want(due.Add(63*time.Hour), "slow the run takes unusually long: 63h0m0s until now; the longest of the last ones took 40h0m0s")
	w.want(due.Add(66*time.Hour), "overdue a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then")
}

// TestUndoneInTheTimeThatExportsTake: runs that skip every segment, which is quick, do not count.
func TestUndoneInTheTimeThatExportsTake(t *testing.T) {
	w := &lateWorld{t: t, skipped: map[string]bool{"skipped": true}}
	w.run("old", due.AddDate(0, 0, -9), 5*time.Hour, true)
	for i := range 3 {
		w.run("skipped", due.AddDate(0, 0, i-8), time.Second, true)
	}
	w.want(due.Add(-time.Hour), "")
	w.run("failed", due, time.Minute, false)
	w.want(due.Add(30*time.Hour), "") // 24, an hour of catch-up, and 5 hours
	w.want(due.Add(31*time.Hour), "overdue a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then")
}

// TestUndoneAtFirst: nobody knows how long the first run takes, unless it waits or has failed.
func TestUndoneAtFirst(t *testing.T) {
	const undone = "overdue a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then"
	for name, c := range map[string]struct {
		waits, failed bool
		want          string
	}{"is under way": {}, "waits": {waits: true, want: undone}, "has failed": {failed: true, want: undone}} {
		t.Run(name, func(t *testing.T) {
			w := &lateWorld{t: t, waits: c.waits}
			w.want(due.Add(-time.Hour), "")
			w.run("first", due, 0, false)
			if c.failed {
				w.runs[0].ended = due.Add(time.Hour)
			}
			w.want(due.Add(30*time.Hour), c.want)
		})
	}
}

// TestAPauseThatNoLookHasSeen was over a start, so no run had to be done after it. One that was
// reported before stays reported.
func TestAPauseThatNoLookHasSeen(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		looked, updated time.Time
		undone, forgets bool
	}{
		"not changed":                         {looked: due.Add(-hour)},
		"changed before the start":            {looked: due.Add(-2 * hour), updated: due.Add(-hour)},
		"over the start":                      {looked: due.Add(-hour), updated: due.Add(hour), forgets: true},
		"over the start, reported before":     {looked: due.Add(-hour), updated: due.Add(hour), undone: true},
		"after the start":                     {looked: due.Add(hour), updated: due.Add(3 * hour)},
		"over the start at its end":           {looked: due.Add(hour), updated: due.Add(25 * hour), forgets: true},
		"after both, the last look was after": {looked: due.Add(25 * hour), updated: due.Add(26 * hour)},
	} {
		l := late{Watched: schemas.Watched{Since: due, Until: due.Add(24 * hour), Undone: c.undone}}
		if l.follow(schemas.Timing{}, c.looked, c.updated); l.Since.IsZero() != c.forgets || l.Until.IsZero() != c.forgets {
			t.Errorf("%s: %+v", name, l.Watched)
		}
	}
}

// TestASlowRunThatSkips every segment is no longer slow, but nothing is done again.
func TestASlowRunThatSkips(t *testing.T) {
	w := &lateWorld{t: t, skipped: map[string]bool{"new": true}}
	for i := range 3 {
		w.run("old", due.AddDate(0, 0, i-3), 10*time.Minute, true)
	}
	w.run("new", due, 0, false)
	w.want(due.Add(time.Hour), "slow the run takes unusually long: 1h0m0s until now; the longest of the last ones took 10m0s")
	w.runs[0].ended, w.runs[0].done = due.Add(2*time.Hour), true
	w.want(due.Add(3*time.Hour), "")
	if w.watched.Slow != "" {
		t.Error("it has ended")
	}
}

// TestAnOverdueExportHasNotRecovered by a run that skipped every segment.
func TestAnOverdueExportHasNotRecovered(t *testing.T) {
	w := &lateWorld{t: t, skipped: map[string]bool{"skipped": true}}
	w.want(due.Add(-time.Hour), "")
	w.want(due.Add(2*time.Hour), "overdue the run that was due at 26 Nov 2026 04:00 UTC has not begun")
	w.run("skipped", due.Add(3*time.Hour), time.Minute, true)
	w.want(due.Add(4*time.Hour), "")
	w.run("done", due.Add(5*time.Hour), time.Minute, true)
	w.want(due.Add(6*time.Hour), "recovered a run is done again")
}

// TestSlow compares a run with those before it. One that waits for a person is not slow.
func TestSlow(t *testing.T) {
	const minute = time.Minute
	history := func(n int, waits bool) *lateWorld {
		w := &lateWorld{t: t, waits: waits}
		if n == 10 { // an eleventh, which does not count
			w.run("older", due.AddDate(0, 0, -n-1), 10*time.Hour, true)
		}
		for i := range n {
			takes := 10 * minute
			if i == 0 {
				takes = 20 * minute
			}
			w.run("old", due.AddDate(0, 0, i-n), takes, true)
		}
		w.run("new", due, 0, false)
		return w
	}
	const slow = "slow the run takes unusually long: 31m0s until now; the longest of the last ones took 20m0s"
	for _, c := range []struct {
		w    *lateWorld
		want string
	}{{history(10, false), slow}, {history(3, false), slow}, {history(2, false), ""}, {history(10, true), ""}} {
		c.w.want(due.Add(29*minute), "")
		c.w.want(due.Add(31*minute), c.want)
		c.w.want(due.Add(40*minute), "")
		c.w.runs[0].ended, c.w.runs[0].done = due.Add(41*minute), true
		again := ""
		if c.want != "" {
			again = "recovered a run is done again"
		}
		c.w.want(due.Add(45*minute), again)
	}
	short := history(0, false)
	for i := range 10 {
		short.runs = append(short.runs, ranRun{began: due.AddDate(0, 0, -i-1), ended: due.AddDate(0, 0, -i-1).Add(10 * time.Second), done: true})
	}
	short.want(due.Add(4*minute), "") // five minutes more at least
	short.want(due.Add(6*minute), "slow the run takes unusually long: 6m0s until now; the longest of the last ones took 10s")
}
