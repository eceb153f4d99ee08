package report

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// allStates is an overview with an export in each state.
func allStates() Overview {
	past := func(export string, lists map[string][]int64, order ...string) PastRuns {
		p := PastRuns{Connection: "marketing", Export: export}
		for i := range lists[order[0]] {
			at := begin.AddDate(0, 0, i-len(lists[order[0]])+1)
			r := PastRun{RunID: fmt.Sprint("run-", i), State: schemas.StateDone, StartedBy: "a schedule", StartedAt: at, FinishedAt: at.Add(95 * time.Second)}
			for j, name := range order {
				r.Lists = append(r.Lists, PastList{Segment: name, ListID: int64(1200 + j), State: schemas.StateDone, Size: lists[name][i]})
			}
			p.Runs = append(p.Runs, r)
		}
		return p
	}
	at := begin.Add(6 * time.Hour)
	done := func(p PastRuns) ExportOverview {
		l := p.Last()
		return ExportOverview{
			PastRuns: p, Applied: true, State: l.State, RunID: l.RunID, StartedAt: l.StartedAt,
			Schedule: "every day at 04:00 Europe/Oslo, up to 10 minutes later", Next: at.AddDate(0, 0, 1), NextText: "Tue 5 May 04:00",
		}
	}
	var grows, calm []int64
	for i := range 60 {
		grows, calm = append(grows, 90_000+int64(i*i)*60), append(calm, 20_000+int64(i%3))
	}
	spring := done(past("Spring <b>campaign</b>", map[string][]int64{"High-value <customers>": grows, "Newsletter readers in Norway": calm}, "High-value <customers>", "Newsletter readers in Norway"))
	spring.Rejected = map[string]map[schemas.Reason]int64{
		"2026-05": {schemas.ReasonSyntax: 1200, schemas.ReasonUnknownTLD: 88, schemas.ReasonMissing: 301},
		"2026-04": {schemas.ReasonDots: 7777},
	}
	waits := done(past("Winback", map[string][]int64{"Lapsed customers": {5000, 5100, 4990}}, "Lapsed customers"))
	waits.State, waits.RunID = schemas.StateWaiting, "0190-waits"
	wait := schemas.Waiting{ID: "a1b2c3d4e5f6-1", Message: "3,800 of the 4,990 members would be removed (76.2%, allowed are 20%); is the segment complete?", Answers: []string{schemas.UpdateApprove, schemas.UpdateAbort}}
	waits.Waits = []OverviewWait{{
		Segment: "Lapsed customers", Message: wait.Message, Since: at.Add(-5 * time.Hour),
		Commands: []string{wait.Command("starter", "Winback", "approve"), wait.Command("starter", "Winback", "abort")},
	}}
	failed := done(past("Birthdays", map[string][]int64{"Birthdays this week": {410, 395}}, "Birthdays this week"))
	last := &failed.Runs[1]
	last.State, failed.State = schemas.StateFailed, schemas.StateFailed
	last.Lists[0].State, last.Lists[0].Error, last.Lists[0].Size = schemas.StateFailed, "no file at the source s3://lake/segments/birthdays/*.parquet", 0
	late := done(past("Newsletter", map[string][]int64{"Newsletter readers": {15}}, "Newsletter readers"))
	late.Late, late.Paused = "overdue: the run that was due at 4 May 2026 02:00 UTC did not begin in time", true
	late.Next, late.NextText = time.Time{}, ""
	never := ExportOverview{Applied: true, Schedule: "off"}
	never.Export, never.Connection = "Autumn", "marketing"
	countries := map[string][]int64{}
	var order []string
	for i := range 30 {
		order = append(order, fmt.Sprintf("Customers %02d", i))
		countries[order[i]] = []int64{int64(100 * i), int64(101 * i)}
	}
	runs := done(past("Countries", countries, order...))
	runs.State, runs.RunID, runs.Applied, runs.Schedule, runs.NextText = schemas.StateRunning, "0190-runs", false, "", ""
	return Overview{At: at, Exports: []ExportOverview{never, failed, runs, late, spring, waits}}
}

func writtenOverview(t *testing.T, o Overview, reports map[string]bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteOverview(&out, o, reports); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// reportsOf are the keys of the reports of all last runs.
func reportsOf(o Overview) map[string]bool {
	all := map[string]bool{}
	for _, e := range o.Exports {
		if last := e.Last(); last != nil {
			all[dataroot.RunReport(e.Connection, e.Export, last.RunID)] = true
		}
	}
	return all
}

// TestTheOverviewOfAllExports shows each state, what to type, and what needs attention first.
func TestTheOverviewOfAllExports(t *testing.T) {
	text := writtenOverview(t, allStates(), reportsOf(allStates()))
	if file := os.Getenv("OVERVIEW_SAMPLE"); file != "" { // to look at it in a browser
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"As of 2026-05-04 09:00 UTC", `starter approve &#34;Winback&#34; --wait a1b2c3d4e5f6-1`, `starter abort &#34;Winback&#34; --wait a1b2c3d4e5f6-1`, "3,800 of the 4,990 members",
		"no file at the source s3://lake", "starter status run-1", "overdue: the run that was due at 4 May 2026 02:00 UTC", `starter resume &#34;Newsletter&#34;`,
		"60 runs since 2026-03-06: 90,000 to 298,860", "lowest 90,000", "298,860", "&#43;7,020", "1 run, on 2026-05-04", "no rows in May 2026", "The last run failed", "not run yet", "none yet",
		"18 more lists", "Customers 29", "Rejected rows in May 2026", ">1,200<", "Tue 5 May 04:00", "a schedule", "not applied", "Spring &lt;b&gt;campaign",
		`href="marketing-`, "/run-59/report.html",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if strings.Contains(text, "7,777") {
		t.Error("it counts the rejects of another month")
	}
	if standsAlone(t, text) != 1+2+30 {
		t.Errorf("%d drawings", standsAlone(t, text))
	}
	var order []int
	for _, name := range []string{"Winback", "Birthdays", "Newsletter", "Autumn", "Countries"} {
		order = append(order, strings.Index(text, `aria-label="Export `+name))
	}
	for i := range order[1:] {
		if order[i] < 0 || order[i] > order[i+1] {
			t.Errorf("the exports are at %v: those that need attention come first", order)
		}
	}
	saved := writtenOverview(t, allStates(), nil)
	if strings.Contains(saved, "href=") || strings.Contains(saved, "every five minutes") {
		t.Error("a page that is saved elsewhere links to reports beside it")
	}
}

// TestListsThatARunDidNotReach stay on the page, those of a divided segment and of vanished
// values too, and lists that the export does not have any more go.
func TestListsThatARunDidNotReach(t *testing.T) {
	list := func(name, state string, size int64) PastList {
		return PastList{Segment: name, ListID: size, State: state, Size: size}
	}
	run := func(state string, lists ...PastList) PastRun {
		return PastRun{State: state, FinishedAt: begin, Lists: lists}
	}
	done, failed := schemas.StateDone, schemas.StateFailed
	past := []PastRun{
		run(done, list("Removed", done, 1)),
		run(done, list("VIP", done, 2), list("Norway", done, 3), list("Sweden", done, 4)),
		run(failed, list("VIP", failed, 0), list("Norway", done, 5), list("Sweden", schemas.StateKept, 0), list("Denmark", done, 6)),
		run(failed, list("VIP", done, 7), list("Customers {Country}", failed, 0)),
	}
	for n, want := range [][]string{
		1: {"Removed 1 "}, 2: {"VIP 2 ", "Norway 3 ", "Sweden 4 "},
		3: {"VIP 2 failed", "Norway 5 ", "Sweden 4 kept as it is: no row has its value any more", "Denmark 6 "},
		4: {"VIP 7 ", "Customers {Country} 0 failed", "Norway 5 the last run did not reach it", "Sweden 4 the last run did not reach it", "Denmark 6 the last run did not reach it"},
	} {
		var got []string
		for _, l := range listLines(past[:n]) {
			got = append(got, fmt.Sprintf("%s %d %s", l.Segment, l.Members, l.Trouble))
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d runs: %q, want %q", n, got, want)
		}
	}
}

// TestALastRunThatIsNotAmongThePast is not taken for the last of those.
func TestALastRunThatIsNotAmongThePast(t *testing.T) {
	o := allStates()
	e := o.Exports[1] // failed
	e.State, e.RunID, e.StartedAt = schemas.StateDone, "newest", begin
	text := writtenOverview(t, Overview{At: o.At, Exports: []ExportOverview{e}}, reportsOf(o))
	if !strings.Contains(text, "done, begun 2026-05-04 03:00 UTC; it is not among the past runs") || strings.Contains(text, "href=") || strings.Contains(text, "The last run failed") {
		t.Error(text)
	}
}

func TestAnOverviewOfNothing(t *testing.T) {
	if text := writtenOverview(t, Overview{At: begin}, nil); !strings.Contains(text, "No export is applied") {
		t.Error(text)
	}
}

// TestSparklinesShowSizesAsTheyAre: a small change looks small, and sizes lie where time puts
// them.
func TestSparklinesShowSizesAsTheyAre(t *testing.T) {
	at := func(hours int, n int64) Size {
		return Size{At: begin.Add(time.Duration(hours) * time.Hour), Members: n}
	}
	for want, sizes := range map[string][]Size{
		`points="4.0,32.0 156.0,4.0"`:            {at(0, 100), at(1, 200)},
		`points="4.0,19.4 156.0,16.6"`:           {at(0, 1000), at(1, 1010)},
		`points="4.0,18.0 156.0,18.0"`:           {at(0, 0), at(0, 0)},
		`points="4.0,4.0 42.0,32.0 156.0,18.0"`:  {at(0, 10), at(1, 0), at(4, 5)},
		`points="4.0,18.0 80.0,18.0 156.0,18.0"`: {at(2, 7), at(2, 7), at(2, 7)},
	} {
		if got := string(spark(sizes, "x")); !strings.Contains(got, want) {
			t.Errorf("%v is drawn as %s, want %s", sizes, got, want)
		}
	}
}
