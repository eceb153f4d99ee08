package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

var begin = time.Date(2026, 5, 4, 2, 0, 0, 0, time.UTC)

// temporal is what Temporal knows, without Temporal: internal/e2e has the real one.
type temporal struct {
	exports []operate.Applied
	late    schemas.LateRuns
	runs    []operate.View
	first   map[string]string       // the run IDs that runs began with, by that of a run that was reset
	over    map[string]string       // the connections of runs by run ID; default marketing
	looks   map[string]operate.View // by run ID
	asked   atomic.Int64            // calls of Applied
}

func (l *temporal) Applied(context.Context) ([]operate.Applied, error) {
	l.asked.Add(1)
	return l.exports, nil
}
func (l *temporal) LastLook(context.Context) (schemas.LateRuns, error) { return l.late, nil }
func (l *temporal) Recent(_ context.Context, underWay bool) ([]operate.View, error) {
	if !underWay {
		return nil, errors.New("it asks for runs that have ended")
	}
	return slices.DeleteFunc(slices.Clone(l.runs), operate.View.Ended), nil
}
func (l *temporal) Newest(_ context.Context, export string) (newest operate.View, first string, err error) {
	for _, v := range l.runs {
		if v.Run.Export == export && !v.StartedAt.Before(newest.StartedAt) {
			newest = v
		}
	}
	if newest.Run.RunID == "" {
		return newest, "", operate.ErrNoRun
	}
	return newest, cmp.Or(l.first[newest.Run.RunID], newest.Run.RunID), nil
}
func (l *temporal) Look(_ context.Context, run operate.Run) (operate.View, error) {
	if v, ok := l.looks[run.RunID]; ok {
		return v, nil
	}
	return operate.View{}, errors.New("no worker answers")
}
func (l *temporal) Input(_ context.Context, run operate.Run) (schemas.RunInput, error) {
	return schemas.RunInput{Export: schemas.Export{Name: run.Export, Connection: cmp.Or(l.over[run.RunID], "marketing")}}, nil
}

func applied(name, connection string) operate.Applied {
	return operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{Name: name, Connection: connection}}}
}

func view(export, id, state string, started time.Time) operate.View {
	return operate.View{Run: operate.Run{Export: export, RunID: id}, State: state, StartedAt: started}
}

func openRoot(t *testing.T) *storage.Root {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// add adds a run that was done and has rejected one row.
func add(t *testing.T, root *storage.Root, connection, export, id string, ended time.Time, members int64) {
	t.Helper()
	in := schemas.RunReportInput{
		Export: schemas.Export{Name: export, Connection: connection}, Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule},
		State: schemas.StateDone, StartedAt: ended.Add(-time.Minute),
		Result: schemas.RunResult{RunID: id, Segments: []schemas.ExportReport{{
			Segment: export, ListID: 7, State: schemas.StateDone, ListSize: members, Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 1},
		}}},
	}
	if err := Add(t.Context(), root, in, ended); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root *storage.Root, connection, export string) (p report.PastRuns) {
	t.Helper()
	if found, err := root.ReadJSON(t.Context(), dataroot.PastRunsKey(connection, export), &p); err != nil || !found {
		t.Fatalf("%v, found: %v", err, found)
	}
	return p
}

// TestPastRunsAreBounded, and a run that is added again counts once.
func TestPastRunsAreBounded(t *testing.T) {
	root := openRoot(t)
	n := report.MostPastRuns + 10
	for i := range n {
		for range 2 { // an activity may be repeated
			add(t, root, "marketing", "Spring", fmt.Sprint("run-", i), begin.AddDate(0, 0, i), int64(i))
		}
	}
	p := read(t, root, "marketing", "Spring")
	if len(p.Runs) != report.MostPastRuns || p.Runs[0].RunID != "run-10" || p.Last().RunID != fmt.Sprint("run-", n-1) || p.Last().Lists[0].Size != int64(n-1) {
		t.Errorf("%d runs, from %s to %+v", len(p.Runs), p.Runs[0].RunID, p.Last())
	}
	if len(p.Rejected) != 2 || p.Rejected["2026-08"][schemas.ReasonSyntax] != 11 || p.Rejected["2026-07"][schemas.ReasonSyntax] != 31 {
		t.Errorf("rejected by month: %v", p.Rejected)
	}
}

// TestTheStateOfEachExport comes from Temporal for runs under way and for those without a
// report, and from the data root for the others.
func TestTheStateOfEachExport(t *testing.T) {
	root := openRoot(t)
	for _, export := range []string{"Done", "Ending", "Refused", "Waits", "Silent", "Definition", "Moved"} {
		add(t, root, "marketing", export, "old-"+export, begin, 10)
	}
	add(t, root, "eu", "Moved", "old-eu", begin.Add(-time.Hour), 20)
	add(t, root, "owners", "Theirs", "old-Theirs", begin, 30)
	next := begin.AddDate(0, 0, 1)
	done := applied("Done", "marketing")
	done.Timing, done.Words, done.Next, done.Starts = &schemas.Timing{TimeZone: "Europe/Oslo"}, "every day at 04:00 Europe/Oslo", next, []time.Time{next}
	waits := view("Waits", "new-Waits", schemas.StateWaiting, begin.Add(time.Hour))
	segment := operate.SegmentView{}
	segment.Run.Segment = "Waits"
	segment.Waiting = &schemas.Waiting{ID: "abc-1", Message: "too many", Answers: []string{schemas.UpdateApprove, schemas.UpdateAbort}, Since: begin}
	waits.Segments = []operate.SegmentView{segment}
	refused := view("Refused", "new-Refused", schemas.StateFailed, begin.Add(2*time.Hour))
	refused.Error = "its grant is not valid"
	live := &temporal{
		exports: []operate.Applied{done, applied("Ending", "marketing"), applied("Refused", "marketing"), applied("Waits", "marketing"), applied("Silent", "marketing"), applied("Never", "marketing"), applied("Moved", "eu"), applied("Theirs", "owners")},
		late:    schemas.LateRuns{Exports: map[string]schemas.Watched{"Done": {Slow: "x"}}},
		runs: []operate.View{
			view("Ending", "old-Ending", schemas.StateRunning, begin), waits, view("Silent", "new-Silent", schemas.StateRunning, begin.Add(time.Hour)), view("First", "new-First", schemas.StateRunning, begin), view("First (trial)", "new-trial", schemas.StateRunning, begin),
			view("Refused", "new-Refused", schemas.StateFailed, begin.Add(2*time.Hour)), view("Refused", "older", schemas.StateFailed, begin.Add(time.Hour)), view("Done", "before", schemas.StateFailed, begin.AddDate(0, 0, -1)), view("Removed", "x", schemas.StateFailed, begin),
		},
		looks: map[string]operate.View{"new-Waits": waits, "new-Refused": refused, "new-First": view("First", "new-First", schemas.StateRunning, begin), "new-trial": view("First (trial)", "new-trial", schemas.StateRunning, begin)},
	}
	o, err := Of(t.Context(), root, live, begin.Add(3*time.Hour), func(c string) bool { return c != "owners" })
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	by := map[string]report.ExportOverview{}
	for _, e := range o.Exports {
		got[e.Export], by[e.Export] = strings.TrimSpace(e.State+" "+e.RunID), e
	}
	for export, want := range map[string]string{
		"Done": "done old-Done", "Ending": "done old-Ending", "Refused": "failed new-Refused", "Waits": "waiting new-Waits", "Silent": "running new-Silent",
		"Definition": "done old-Definition", "Never": "", "First": "running new-First", "Moved": "done old-eu",
	} {
		if got[export] != want {
			t.Errorf("%s is %q, want %q", export, got[export], want)
		}
	}
	if len(o.Exports) != 9 {
		t.Errorf("it has %v", got)
	}
	if e := by["Done"]; e.NextText != "Tue 5 May 04:00" || e.Late != "slow: its run takes unusually long" || !e.Applied || by["Definition"].Applied || by["First"].Applied {
		t.Errorf("%+v", e)
	}
	if w := by["Waits"].Waits; len(w) != 1 || w[0].Segment != "Waits" || !slices.Equal(w[0].Commands, []string{`starter approve "Waits" --wait abc-1`, `starter abort "Waits" --wait abc-1`}) {
		t.Errorf("%+v", w)
	}
	if by["Refused"].Error != refused.Error || !strings.Contains(by["Silent"].Problem, "is a worker running?") {
		t.Errorf("%+v\n%+v", by["Refused"], by["Silent"])
	}
}

// TestPastRunsWithoutAKey are a problem of their export, not of the whole overview.
func TestPastRunsWithoutAKey(t *testing.T) {
	root := openRoot(t)
	add(t, root, "marketing", "Good", "r", begin, 1)
	file := filepath.Join(strings.TrimPrefix(root.URL(), "file://"), filepath.FromSlash(dataroot.PastRunsKey("marketing", "Sealed")))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("age-encryption.org/v1\nsealed"), 0o600); err != nil {
		t.Fatal(err)
	}
	live := &temporal{exports: []operate.Applied{applied("Good", "marketing"), applied("Sealed", "marketing")}}
	o, err := Of(t.Context(), root, live, begin, func(string) bool { return true })
	if err != nil || len(o.Exports) != 2 || o.Exports[0].Problem != "" || !strings.Contains(o.Exports[1].Problem, "can't be read") {
		t.Errorf("%+v, %v", o.Exports, err)
	}
	in := schemas.RunReportInput{Export: schemas.Export{Name: "Sealed", Connection: "marketing"}}
	if err := Add(t.Context(), root, in, begin); !errors.Is(err, storage.ErrKey) {
		t.Error(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "age-encryption.org/v1\nsealed" {
		t.Errorf("%q, %v: it is written over, though a key may open it", text, err)
	}
}

// TestWorkersThatWriteAtTheSameTime: a page that was made before another worker added a run,
// and is written after that worker's page, is written again.
func TestWorkersThatWriteAtTheSameTime(t *testing.T) {
	root := openRoot(t)
	live := &temporal{}
	add(t, root, "marketing", "First", "r", begin, 1)
	var writes int
	root.Around = func(_ context.Context, key string, _, do func() error) error {
		if key != dataroot.OverviewKey {
			return do()
		}
		if writes++; writes == 1 { // another worker's run ends here
			add(t, root, "marketing", "Second", "r", begin, 2)
			if err := NewPage(live).Write(t.Context(), root); err != nil {
				t.Error(err)
			}
		}
		return do()
	}
	if err := NewPage(live).Write(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	page, err := root.Read(t.Context(), dataroot.OverviewKey)
	if err != nil || !strings.Contains(string(page), "Export First") || !strings.Contains(string(page), "Export Second") {
		t.Errorf("%v: after %d writes the page lacks a run", err, writes)
	}
	if writes != 3 {
		t.Errorf("the page was written %d times, want 3: two workers, and the first again", writes)
	}
}

// TestLinksToReports: the page links to the report of a last run until the sweep has deleted it.
func TestLinksToReports(t *testing.T) {
	root := openRoot(t)
	for _, export := range []string{"Kept", "Swept"} {
		add(t, root, "marketing", export, "r", begin, 1)
	}
	kept, swept := dataroot.RunReport("marketing", "Kept", "r"), dataroot.RunReport("marketing", "Swept", "r")
	if err := root.Write(t.Context(), kept, []byte("<html>")); err != nil {
		t.Fatal(err)
	}
	if err := NewPage(&temporal{}).Write(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	page, err := root.Read(t.Context(), dataroot.OverviewKey)
	link := func(key string) bool {
		return strings.Contains(string(page), `href="`+strings.TrimPrefix(key, dataroot.ReportsDir+"/")+`"`)
	}
	if err != nil || !link(kept) || link(swept) {
		t.Errorf("%v: it links to the report that is there: %v, to the one that is not: %v", err, link(kept), link(swept))
	}
}

// TestManyRunsThatEndAtOnce: the page has every run, and is not written for each.
func TestManyRunsThatEndAtOnce(t *testing.T) {
	root := openRoot(t)
	live := &temporal{}
	page := NewPage(live)
	const n = 100
	hold := make(chan struct{})
	var writes atomic.Int64
	root.Around = func(_ context.Context, key string, _, do func() error) error {
		if key == dataroot.OverviewKey && writes.Add(1) == 1 {
			<-hold // until all others wait
		}
		return do()
	}
	var all errgroup.Group
	for i := range n {
		add(t, root, "marketing", fmt.Sprintf("Export %03d", i), "r", begin, 1)
		all.Go(func() error { return page.Write(t.Context(), root) })
	}
	for page.asked.Load() < n {
		runtime.Gosched()
	}
	close(hold)
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	text, err := root.Read(t.Context(), dataroot.OverviewKey)
	if got := strings.Count(string(text), "<section"); err != nil || got != n {
		t.Errorf("the page has %d exports, want %d; %v", got, n, err)
	}
	if got := live.asked.Load(); got > 4 {
		t.Errorf("Temporal was asked %d times for %d runs", got, n)
	}
}

// TestRunsThatAreNotPastRuns: the newest run decides, however it ended, whether or not the data
// root has it.
func TestRunsThatAreNotPastRuns(t *testing.T) {
	root := openRoot(t)
	live := &temporal{looks: map[string]operate.View{}}
	run := func(export, id, state string, days int) {
		v := view(export, id, state, begin.AddDate(0, 0, days))
		v.Error = map[string]string{schemas.StateFailed: "no grant"}[state]
		live.runs, live.looks[id] = append(live.runs, v), v
	}
	for _, name := range []string{"Lost", "Recovered", "Reset", "Restored"} {
		live.exports = append(live.exports, applied(name, "marketing"))
	}
	run("Lost", "l1", schemas.StateFailed, 0)
	run("Lost", "l2", schemas.StateDone, 1)
	add(t, root, "marketing", "Recovered", "r1", begin, 10)
	run("Recovered", "r1", schemas.StateDone, 0)
	run("Recovered", "r2", schemas.StateFailed, 1)
	run("Recovered", "r3", schemas.StateDone, 2)
	add(t, root, "marketing", "Reset", "first", begin, 10)
	run("Reset", "again", schemas.StateFailed, 1)
	live.first = map[string]string{"again": "first"}
	add(t, root, "marketing", "Restored", "after", begin.AddDate(0, 0, 9), 10)
	run("Restored", "before", schemas.StateFailed, 1)
	o, err := Of(t.Context(), root, live, begin, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Lost": "done l2", "Recovered": "done r3", "Reset": "done first", "Restored": "done after"}
	for _, e := range o.Exports {
		if got := e.State + " " + e.RunID; got != want[e.Export] || e.Error != "" || e.Problem != "" {
			t.Errorf("%s is %q, want %q: %q %q", e.Export, got, want[e.Export], e.Error, e.Problem)
		}
	}
	if len(o.Exports) != len(want) {
		t.Errorf("it has %+v", o.Exports)
	}
}

// TestRunsOverAnotherConnection: a run is shown to those who may use the connection it is over,
// not the one that its export has today or had before.
func TestRunsOverAnotherConnection(t *testing.T) {
	root := openRoot(t)
	live := &temporal{
		exports: []operate.Applied{applied("Failed", "b"), applied("Waits", "b")},
		over:    map[string]string{"failed": "a", "waits": "a", "definition": "b", "ended": "b"}, looks: map[string]operate.View{},
	}
	segment := operate.SegmentView{}
	segment.Waiting = &schemas.Waiting{ID: "1", Answers: []string{schemas.UpdateAbort}}
	for _, r := range []struct{ export, id, state string }{
		{"Failed", "failed", schemas.StateFailed}, {"Waits", "waits", schemas.StateWaiting}, {"Definition", "definition", schemas.StateWaiting}, {"Ended", "ended", schemas.StateFailed},
	} {
		add(t, root, "a", r.export, "old-"+r.export, begin, 10)
		v := view(r.export, r.id, r.state, begin.Add(time.Hour))
		v.Error = "secret of " + live.over[r.id]
		if r.state == schemas.StateWaiting {
			v.Segments = []operate.SegmentView{segment}
		}
		live.runs, live.looks[r.id] = append(live.runs, v), v
	}
	for connection, want := range map[string][]string{
		"a": {"Waits waiting waits 1 secret of a"},
		"b": {"Definition waiting definition 1 secret of b", "Ended failed ended 0 secret of b", "Failed   0 ", "Waits   0 "},
	} {
		o, err := Of(t.Context(), root, live, begin, func(c string) bool { return c == connection })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range o.Exports {
			got = append(got, fmt.Sprintf("%s %s %s %d %s", e.Export, e.State, e.RunID, len(e.Waits), e.Error))
		}
		if !slices.Equal(got, want) {
			t.Errorf("users of %s see %q, want %q", connection, got, want)
		}
	}
}

// TestKeptListsArePastLists: a list that stays as it is, since its value has vanished, is one of
// the run.
func TestKeptListsArePastLists(t *testing.T) {
	root := openRoot(t)
	in := schemas.RunReportInput{Export: schemas.Export{Name: "Spring", Connection: "marketing"}, Result: schemas.RunResult{RunID: "r", Segments: []schemas.ExportReport{
		{Segment: "{Country}", State: schemas.StateDone, Divided: &schemas.Divided{Kept: []string{"Sweden"}}}, {Segment: "Norway", State: schemas.StateDone, ListSize: 3},
	}}}
	if err := Add(t.Context(), root, in, begin); err != nil {
		t.Fatal(err)
	}
	want := []report.PastList{{Segment: "Sweden", State: schemas.StateKept}, {Segment: "Norway", State: schemas.StateDone, Size: 3}}
	if lists := read(t, root, "marketing", "Spring").Last().Lists; !slices.Equal(lists, want) {
		t.Errorf("%+v", lists)
	}
}

// TestDamagedPastRuns are a problem of their export until its next run, which replaces them.
func TestDamagedPastRuns(t *testing.T) {
	root := openRoot(t)
	add(t, root, "marketing", "Good", "r", begin, 1)
	for _, text := range []string{"", `{"runs": [{"startedAt": "yesterday"}]}`, `{"runs": 7}`, "\x00\x01"} {
		if err := root.Write(t.Context(), dataroot.PastRunsKey("marketing", "Damaged"), []byte(text)); err != nil {
			t.Fatal(err)
		}
		live := &temporal{exports: []operate.Applied{applied("Damaged", "marketing"), applied("Good", "marketing")}}
		o, err := Of(t.Context(), root, live, begin, func(string) bool { return true })
		if err != nil || len(o.Exports) != 2 || !strings.Contains(o.Exports[0].Problem, "can't be read") || o.Exports[1].Problem != "" {
			t.Errorf("%q: %+v, %v", text, o.Exports, err)
		}
		in := schemas.RunReportInput{Export: schemas.Export{Name: "Damaged", Connection: "marketing"}, State: schemas.StateDone, Result: schemas.RunResult{RunID: "next"}}
		if err := Add(t.Context(), root, in, begin); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %v", text, err)
		}
		if p := read(t, root, "marketing", "Damaged"); len(p.Runs) != 1 || p.Runs[0].RunID != "next" {
			t.Errorf("%q: %+v", text, p)
		}
	}
}
