package operate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/schemas"
)

// withRuns is a Temporal with the schedules of exports and their runs.
type withRuns struct {
	schedules
	runs    map[string][]*workflow.WorkflowExecutionInfo // by the type of the workflow
	results map[string]resultOf                          // by run ID; others have exported
}

// WorkflowService answers that a schedule had no other start until now.
func (w withRuns) WorkflowService() workflowservice.WorkflowServiceClient {
	return answer{nil, serviceerror.NewNotFound("no other start")}
}

func (w withRuns) ListWorkflow(_ context.Context, in *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for kind, runs := range w.runs {
		for _, r := range runs {
			id := r.Execution.WorkflowId
			if at := schemas.StartTime(id); at != "" {
				id = strings.TrimSuffix(id, at) + "-"
			}
			if strings.Contains(in.Query, `"`+kind+`"`) && strings.Contains(in.Query, `"`+id+`"`) {
				out.Executions = append(out.Executions, r)
			}
		}
	}
	return out, nil
}

// run adds a run of an export, or a start of it that a Refresh has skipped and told of.
func (w withRuns) run(t *testing.T, export string, began, ended time.Time, leftOut bool) {
	t.Helper()
	kind, r := schemas.WorkflowRunExport, &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: schemas.RunWorkflowID(export), RunId: began.String()},
		StartTime: timestamppb.New(began), Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}
	if !ended.IsZero() {
		r.CloseTime, r.Status = timestamppb.New(ended), enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	}
	if leftOut {
		kind, r.Execution.WorkflowId = schemas.WorkflowScheduledRun, schemas.ScheduledWorkflowID(export)+began.Format("-"+time.RFC3339)
		payload, err := converter.GetDefaultDataConverter().ToPayload(began)
		if err != nil {
			t.Fatal(err)
		}
		r.Memo = &common.Memo{Fields: map[string]*common.Payload{schemas.MemoOverdue: payload}}
	}
	w.runs[kind] = append(w.runs[kind], r)
}

type oneByOne struct{ ids []string }

func (l *oneByOne) HasNext() bool { return len(l.ids) > 0 }

func (l *oneByOne) Next() (*client.ScheduleListEntry, error) {
	id := l.ids[0]
	l.ids = l.ids[1:]
	return &client.ScheduleListEntry{ID: id}, nil
}

func (s byID) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	l := &oneByOne{}
	for id := range s.all {
		l.ids = append(l.ids, id)
	}
	return l, nil
}

// TestLateFollowers: an export that is after another one is overdue if the refresh does not
// begin, or leaves it out, until it is done again.
func TestLateFollowers(t *testing.T) {
	_, known, _ := linked()
	w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}}
	o := &Session{Client: w}
	var last schemas.LateRuns
	look := func(at time.Time, want ...string) {
		t.Helper()
		found, err := o.FindLate(t.Context(), last, at, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.Found {
			got = append(got, f.Export+" "+f.Event)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
		last = found
	}
	lateNow := func(want string) {
		t.Helper()
		if got := last.Exports["B"].Late(); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("B is %q, want %q", got, want)
		}
	}
	const hour = time.Hour
	look(due.Add(-hour))
	w.run(t, "A", due, due.Add(hour), false)
	w.run(t, "B", due, due, true)
	look(due.Add(hour)) // the Refresh has told of it
	lateNow("overdue")
	w.run(t, "B", due.Add(2*hour), due.Add(3*hour), false)
	look(due.Add(4*hour), "B recovered")
	lateNow("")

	// Nothing begins the next refresh.
	next := due.Add(24 * hour)
	a := last.Exports["A"]
	a.Due = next
	last.Exports["A"] = a
	look(next.Add(hour))
	look(next.Add(2*hour), "A overdue", "B overdue")
	look(next.Add(3 * hour))
	lateNow("overdue")
	w.run(t, "A", next.Add(4*hour), next.Add(5*hour), false)
	w.run(t, "B", next.Add(5*hour), next.Add(6*hour), false)
	look(next.Add(7*hour), "A recovered", "B recovered")
}

// resultOf is a run that has ended with a result, or whose result can't be read.
type resultOf struct {
	client.WorkflowRun
	result schemas.RunResult
	err    error
}

func (r resultOf) Get(_ context.Context, out any) error {
	*out.(*schemas.RunResult) = r.result
	return r.err
}

func (w withRuns) GetWorkflow(_ context.Context, _, runID string) client.WorkflowRun {
	return w.results[runID]
}

// TestUndoneFollowers has an export that is after another one skip all its segments: its interval
// is that of the other's schedule.
func TestUndoneFollowers(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	have, known, _ := linked()
	w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}, results: map[string]resultOf{}}
	o := &Session{Client: w}
	var last schemas.LateRuns
	look := func(at time.Time, want ...string) {
		t.Helper()
		a, next := have[0], due
		for !next.After(at) {
			next = next.Add(day)
		}
		a.Starts = []time.Time{next, next.Add(day), next.Add(2 * day)}
		known.all[a.ScheduleID] = a
		found, err := o.FindLate(t.Context(), last, at, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.Found {
			got = append(got, f.Export+" "+f.Late.Message(f.Event))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
		last = found
	}
	skipped := schemas.RunResult{Segments: []schemas.ExportReport{{State: schemas.StateSkipped}}}
	look(due.Add(-hour))
	for i := range 3 {
		at := due.Add(time.Duration(i) * day)
		w.run(t, "A", at, at.Add(hour), false)
		w.run(t, "B", at.Add(hour), at.Add(hour+1), false)
		w.results[at.Add(hour).String()] = resultOf{result: skipped}
	}
	look(due.Add(2 * hour))
	look(due.Add(day+2*hour), "B a run was due at 26 Nov 2026 04:00 UTC, and none has been done since then")
	look(due.Add(2*day + 2*hour))
	// A result that is gone is not known to be a skipped run's.
	w.run(t, "B", due.Add(3*day), due.Add(3*day+hour), false)
	w.results[due.Add(3*day).String()] = resultOf{err: serviceerror.NewNotFound("deleted")}
	w.run(t, "A", due.Add(3*day), due.Add(3*day+hour), false)
	look(due.Add(3*day+2*hour), "B a run is done again")

	broken := errors.New("broken")
	w.results["broken"] = resultOf{err: broken}
	if _, err := o.skippedAll(t.Context(), Run{RunID: "broken"}); !errors.Is(err, broken) {
		t.Errorf("a result that can't be read now: %v", err)
	}
}

// TestAPauseIsNoReason: of A, B after A, and C after B, none of those is reported that a pause or a
// schedule that is off keeps from running.
func TestAPauseIsNoReason(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	held := func(a *Applied) { a.Held = true }
	for name, c := range map[string]struct {
		change func(a, b *Applied)
		runs   bool // A is done every day
		want   string
	}{
		"none":                                {func(_, _ *Applied) {}, true, "B undone, C undone"},
		"none, and nothing begins":            {func(_, _ *Applied) {}, false, "A, B, C"},
		"of A":                                {func(a, _ *Applied) { held(a) }, false, ""},
		"of A, which does not matter to B":    {func(a, b *Applied) { held(a); b.Export.AfterFailure = schemas.AfterRun }, false, "B undone, C undone"},
		"of A in Temporal":                    {func(a, b *Applied) { a.Paused, b.Export.AfterFailure = true, schemas.AfterRun }, false, ""},
		"A is off":                            {func(a, _ *Applied) { a.Timing, a.Starts = nil, nil }, false, ""},
		"of B":                                {func(_, b *Applied) { held(b) }, true, ""},
		"of B, and nothing begins":            {func(_, b *Applied) { held(b) }, false, "A"},
		"of B, over a start before this look": {func(_, b *Applied) { b.Updated = due.Add(hour) }, true, ""},
	} {
		changed := func(t *testing.T, early bool) {
			have := applied(after("A"), after("B", "A"), after("C", "B"))
			have[0].Followers, have[1].Followers = []string{"B"}, []string{"C"}
			have[1].Timing, have[2].Timing = nil, nil
			known := schedules{all: map[string]Applied{}}
			w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}}
			look := func(before schemas.LateRuns, at, next time.Time) schemas.LateRuns {
				t.Helper()
				if have[0].Timing != nil {
					have[0].Starts = []time.Time{next, next.Add(day)}
				}
				for _, a := range have {
					known.all[schemas.ScheduleID(a.Export.Name)] = a
				}
				found, err := (&Session{Client: w}).FindLate(t.Context(), before, at, func(string) {})
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			if early {
				c.change(&have[0], &have[1])
			}
			before := look(schemas.LateRuns{}, due.Add(-hour), due)
			c.change(&have[0], &have[1])
			for i := range 2 {
				if at := due.Add(time.Duration(i) * day); c.runs {
					w.run(t, "A", at, at.Add(hour), false)
				}
			}
			var got []string
			for _, f := range look(before, due.Add(day+3*hour), due.Add(2*day)).Found {
				if f.Late.Undone {
					f.Export += " undone"
				}
				got = append(got, f.Export)
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		}
		t.Run(name, func(t *testing.T) { changed(t, false) })
		t.Run(name+", as before", func(t *testing.T) { changed(t, true) })
	}
}

// TestAFollowerThatSkipsIsLeftOutStill: a run that skips every segment does not make up for the start
// that a Refresh has left out, before the first look or after it.
func TestAFollowerThatSkipsIsLeftOutStill(t *testing.T) {
	_, known, _ := linked()
	w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}, results: map[string]resultOf{}}
	began := due.Add(time.Hour)
	w.run(t, "B", due, due, true)
	w.run(t, "B", began, began.Add(time.Minute), false)
	for state, want := range map[string]time.Time{schemas.StateSkipped: due, schemas.StateDone: {}} {
		w.results[began.String()] = resultOf{result: schemas.RunResult{Segments: []schemas.ExportReport{{State: state}}}}
		found, err := (&Session{Client: w}).FindLate(t.Context(), schemas.LateRuns{}, due.Add(2*time.Hour), func(string) {})
		if got := found.Exports["B"].Overdue; err != nil || !got.Equal(want) {
			t.Errorf("%s: overdue %s, want %s; %v", state, got, want, err)
		}
	}
}

// TestTheJitterOfAnotherSchedule: of two that start together, the other's delay may be shorter.
func TestTheJitterOfAnotherSchedule(t *testing.T) {
	for name, c := range map[string]struct {
		followers []string
		want      int
	}{"two of a refresh": {[]string{"C"}, 0}, "alone": {nil, 1}} {
		timing := schemas.Timing{Every: "6h", Jitter: schemas.Duration(10 * time.Minute)}
		l := late{
			Watched: schemas.Watched{Timing: timing, Due: due}, now: due.Add(2 * time.Hour),
			a:    Applied{ScheduledInput: schemas.ScheduledInput{Timing: &timing, Followers: c.followers}},
			runs: []ranRun{{began: due.Add(-9 * time.Minute), ended: due.Add(-8 * time.Minute), done: true}},
		}
		l.next = func(time.Time) (time.Time, error) { return time.Time{}, nil }
		if err := l.overdue(); err != nil || len(l.found) != c.want {
			t.Errorf("%s: %+v", name, l.found)
		}
	}
}

// DescribeWorkflowExecution knows every workflow as under way.
func (w withRuns) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING}}, nil
}

// TestAStartByARefreshIsUnderWay: an export is not removed while one is about to begin its run.
func TestAStartByARefreshIsUnderWay(t *testing.T) {
	_, known, _ := linked()
	w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}}
	w.run(t, "B-other", due, time.Time{}, true)
	if err := (&Session{Client: w}).startsIdle(t.Context(), "B"); err != nil {
		t.Error(err)
	}
	w.run(t, "B", due, time.Time{}, true)
	if err := (&Session{Client: w}).startsIdle(t.Context(), "B"); !errors.Is(err, ErrUnderWay) {
		t.Error(err)
	}
}

// TestMissedRefreshes: one that was missed ends if the same schedule has started a later one. One
// for news does not count.
func TestMissedRefreshes(t *testing.T) {
	_, known, _ := linked()
	w := withRuns{schedules: known, runs: map[string][]*workflow.WorkflowExecutionInfo{}}
	later := due.Add(time.Hour).Format("-" + time.RFC3339)
	add := func(export string, parent *common.WorkflowExecution) {
		w.runs[schemas.WorkflowRefresh] = append(w.runs[schemas.WorkflowRefresh], &workflow.WorkflowExecutionInfo{
			Execution: &common.WorkflowExecution{WorkflowId: schemas.RefreshWorkflowID(export) + later}, ParentExecution: parent})
	}
	want := func(at, want string) {
		t.Helper()
		plan, err := (&Session{Client: w}).ReadRefresh(t.Context(), schemas.RefreshRequest{Export: "A", At: at}, func(string) {})
		if err != nil || plan.Later != want || want == "" != (len(plan.Members) == 2) {
			t.Errorf("%v, %+v", err, plan)
		}
	}
	at := due.Format("-" + time.RFC3339)
	add("A-other", nil)
	add("A", &common.WorkflowExecution{})
	want(at, "")
	add("A", nil)
	want(at, schemas.RefreshWorkflowID("A")+later)
	want(later, "")
}

// looked is a Temporal whose last look for late runs is known. It counts how often its schedules
// are asked for.
type looked struct {
	withRuns
	last  schemas.LateRuns
	asked *int
}

func (l looked) ScheduleClient() client.ScheduleClient {
	*l.asked++
	return l.withRuns.ScheduleClient()
}

func (l looked) ListWorkflow(ctx context.Context, in *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if strings.Contains(in.Query, schemas.WorkflowFindLateRuns) {
		return &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflow.WorkflowExecutionInfo{{Execution: &common.WorkflowExecution{}}}}, nil
	}
	return l.withRuns.ListWorkflow(ctx, in)
}

func (l looked) GetWorkflow(context.Context, string, string) client.WorkflowRun {
	return lastLook{last: l.last}
}

type lastLook struct {
	client.WorkflowRun
	last schemas.LateRuns
}

func (l lastLook) Get(_ context.Context, out any) error {
	*out.(*schemas.LateRuns) = l.last
	return nil
}

// TestLateAsksForNoScheduleAgain: it judges the exports that the caller has described, and leaves
// their order.
func TestLateAsksForNoScheduleAgain(t *testing.T) {
	asked := 0
	at := time.Now().Add(-time.Hour)
	w := looked{withRuns: withRuns{schedules: schedules{all: map[string]Applied{}}}, asked: &asked}
	w.last = schemas.LateRuns{LookedAt: at, Exports: map[string]schemas.Watched{"B": {Overdue: at}}}
	var applied []Applied
	for _, e := range []schemas.Export{{Name: "A", After: []string{"B"}}, {Name: "B"}} {
		applied = append(applied, Applied{ScheduledInput: schemas.ScheduledInput{Export: e}})
	}
	applied[1].Timing = &schemas.Timing{Every: "24h"}
	if err := (&Session{Client: w}).Late(t.Context(), applied); err != nil || asked != 0 {
		t.Fatalf("%v; schedules were asked for %d times", err, asked)
	}
	if applied[0].Export.Name != "A" || applied[0].Late != "" || applied[1].Late == "" {
		t.Errorf("%+v", applied)
	}
}
