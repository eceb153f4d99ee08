package doctor

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestGrants has a schedule with each standing.
func TestGrants(t *testing.T) {
	grant := &schemas.Grant{Person: schemas.Person{Name: "ann", Role: schemas.RoleContributor}, IssuedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	for want, a := range map[string]operate.Applied{
		"ok no export has one":                                {},
		"skipped without WORKER_SECRET":                       {ScheduledInput: schemas.ScheduledInput{Grant: grant}},
		"ok granted to ann, contributor, on 2026-03-01 UTC; ": {ScheduledInput: schemas.ScheduledInput{Grant: grant}, Standing: &access.Standing{}},
		"warning granted to ann":                              {ScheduledInput: schemas.ScheduledInput{Grant: grant}, Standing: &access.Standing{OldSecret: true}},
		"warning its scheduled runs wait: not shared":         {ScheduledInput: schemas.ScheduledInput{Grant: grant}, Standing: &access.Standing{NotAllowed: "not shared"}},
		"wrong its scheduled runs fail: because":              {Standing: &access.Standing{Invalid: "because"}},
	} {
		a.Export.Connection = "marketing"
		var p patient
		p.grants([]operate.Applied{a})
		f := p.findings[0]
		if len(p.findings) != 1 || !strings.HasPrefix(string(f.State)+" "+f.Found, want) {
			t.Errorf("%+v, want %s", p.findings, want)
		}
		if trouble := f.State == Wrong || f.State == Warning; trouble != strings.Contains(f.Fix, "starter apply FILE") {
			t.Errorf("%s: the fix is %q", want, f.Fix)
		}
	}
}

// TestStoppedWorkers are not counted, although Temporal lists them for minutes.
func TestStoppedWorkers(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	worker := func(ago time.Duration) operate.Worker { return operate.Worker{LastSeen: now.Add(-ago)} }
	for want, workers := range map[string][]operate.Worker{
		"wrong no worker polls it":                            nil,
		"wrong no worker polls it; the last one did 3m0s ago": {worker(4 * time.Minute), worker(3 * time.Minute)},
		"ok polled by 1 worker, last 1m15s ago":               {worker(3 * time.Minute), worker(75 * time.Second)}, // it may just have stopped
		"ok polled by 2 workers, last 0s ago":                 {worker(0), worker(-10 * time.Second)},
		"ok polled by 3 workers, last 2s to 58s ago":          {worker(58 * time.Second), worker(2 * time.Second), worker(30 * time.Second)},
	} {
		if f := polled(workers, now); !strings.HasPrefix(string(f.State)+" "+f.Found, want) {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

// TestWorkersThatGetNoTasks poll, with a build that is not the current one or with none.
func TestWorkersThatGetNoTasks(t *testing.T) {
	now := time.Now()
	old := operate.Worker{LastSeen: now, Deployment: "segment export", Build: "1", Idle: true}
	f := polled([]operate.Worker{old}, now)
	if f.State != Wrong || !strings.Contains(f.Found, `build "1" is not the current one`) || f.Fix != "temporal worker deployment set-current-version --deployment-name \"segment export\" --build-id \"1\"" {
		t.Errorf("%+v", f)
	}
	plain := operate.Worker{LastSeen: now, Idle: true}
	if f := polled([]operate.Worker{plain}, now); f.State != Wrong || !strings.Contains(f.Fix, "TEMPORAL_WORKER_BUILD_ID") {
		t.Errorf("%+v", f)
	}
	current := operate.Worker{LastSeen: now.Add(-time.Minute), Deployment: "segment export", Build: "2"} // it may just have stopped
	if f := polled([]operate.Worker{old, current}, now); f.State != OK || f.Found != "polled by 1 worker, last 1m0s ago" {
		t.Errorf("%+v", f)
	}
	old.LastSeen = now.Add(-3 * time.Minute)
	if f := polled([]operate.Worker{old}, now); f.State != Wrong || !strings.Contains(f.Found, "no worker polls it") {
		t.Errorf("%+v", f)
	}
}

// TestAnExportThatNothingStarts: one is after another whose schedule does not name it.
func TestAnExportThatNothingStarts(t *testing.T) {
	first := operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{Name: "First"}, Timing: &schemas.Timing{Every: "6h"}, Followers: []string{"Second"}}}
	first.Starts = []time.Time{time.Now()}
	after := func(name string) operate.Applied {
		e := schemas.Export{Name: name, After: []string{"First"}}
		return operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: e}, Words: e.Follows()}
	}
	p := &patient{}
	p.schedules([]operate.Applied{first, after("Second"), after("Third")}, time.Now())
	if n := len(p.findings); n != 3 || p.findings[1].State != OK || p.findings[2].State != Wrong || !strings.Contains(p.findings[2].Found, `the schedule of "First" does not name it`) {
		t.Errorf("%+v", p.findings)
	}
	late := after("Second")
	late.Late, p.findings = "overdue: it has not begun", nil
	p.schedules([]operate.Applied{first, late}, time.Now())
	if f := p.findings[1]; f.State != Wrong || !strings.Contains(f.Found, late.Late) {
		t.Errorf("a late one: %+v", f)
	}
	for _, c := range []struct {
		stopped bool
		state   State
		want    string
	}{{false, Warning, `refreshes leave it out, and "Second" after it does what its afterFailure says`}, {true, Wrong, `nothing starts "Second", which is after it`}} {
		first.Paused, first.Stopped, p.findings = true, c.stopped, nil
		p.schedules([]operate.Applied{first, after("Second")}, time.Now())
		if f := p.findings[0]; f.State != c.state || !strings.Contains(f.Found, c.want) {
			t.Errorf("paused, stopped %v: %+v", c.stopped, f)
		}
	}
}

// TestSchedulesInWords: the doctor shows a schedule with its next starts, in its time zone.
func TestSchedulesInWords(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	a := operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{Name: "Spring"}, Timing: &schemas.Timing{Every: "day", At: schemas.OneOrMore{"04:00"}, TimeZone: "Europe/Oslo"}}}
	a.Words = operate.Words(*a.Timing)
	for day := range 3 {
		a.Starts = append(a.Starts, time.Date(2026, 11, 26+day, 3, 0, 0, 0, time.UTC))
	}
	p := &patient{}
	p.schedules([]operate.Applied{a}, now)
	if f, want := p.findings[0], "every day at 04:00 Europe/Oslo; next Thu 26 Nov 04:00, Fri 27 Nov 04:00, Sat 28 Nov 04:00"; f.State != OK || f.Found != want {
		t.Errorf("%+v, want %q", f, want)
	}
}
