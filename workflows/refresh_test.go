package workflows

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

const atFour = "-2026-11-26T04:00:00Z"

// office is a test environment with applied exports, whose runs take an hour each.
type office struct {
	*testsuite.TestWorkflowEnvironment
	began   time.Time
	applied map[string]schemas.AppliedNow
	plan    schemas.RefreshPlan
	ends    map[string]error // of the runs that do not end well
	result  map[string]schemas.RunResult
	ran     map[string]time.Duration // when the runs began
	by      map[string]string        // who sent the news that a ScheduledRun is started for
	skipped map[string]string        // why ScheduledRun skipped
	told    []string
	states  map[string]string // of runs that are looked at
	alone   bool              // whether persons have started those
	busy    string            // the export of which a run is under way
	looks   []time.Duration
}

func newOffice(exports ...schemas.Export) *office { return newOfficeWhere("", exports...) }

// newOfficeWhere is newOffice where a run of one export is under way.
func newOfficeWhere(underWay string, exports ...schemas.Export) *office {
	o := &office{
		TestWorkflowEnvironment: newEnvironment(), applied: map[string]schemas.AppliedNow{}, plan: schemas.RefreshPlan{Leader: exports[0].Name},
		busy: underWay, ends: map[string]error{}, result: map[string]schemas.RunResult{}, ran: map[string]time.Duration{}, skipped: map[string]string{}, by: map[string]string{},
	}
	for _, e := range exports {
		e.Connection, e.Notify = "c", []schemas.Notify{{URL: schemas.NotifyURL{URL: "https://example.com/" + e.Name}}}
		o.applied[e.Name] = schemas.AppliedNow{Input: &schemas.ScheduledInput{Export: e, Grant: &schemas.Grant{MAC: []byte(e.Name)}}}
		o.plan.Members = append(o.plan.Members, schemas.RefreshMember{Export: e.Name, After: e.After, AfterFailure: e.AfterFailure})
	}
	o.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: schemas.RefreshWorkflowID(exports[0].Name) + atFour})
	o.RegisterActivityWithOptions(func(context.Context, schemas.RefreshRequest) (schemas.RefreshPlan, error) { return o.plan, nil },
		activity.RegisterOptions{Name: schemas.ActivityReadRefresh})
	o.RegisterActivityWithOptions(func(_ context.Context, export string) (schemas.AppliedNow, error) { return o.applied[export], nil },
		activity.RegisterOptions{Name: schemas.ActivityReadSchedule})
	o.RegisterActivityWithOptions(func(_ context.Context, export string) (schemas.RunLook, error) {
		o.looks = append(o.looks, o.Now().Sub(o.began))
		s := o.states[export]
		ended := s != "" && s != schemas.StateRunning && s != schemas.StateWaiting && s != schemas.StateAwaitingData
		return schemas.RunLook{State: s, Ended: ended, RunID: "theirs", Alone: o.alone, StartedAt: o.began.Add(time.Second)}, nil
	}, activity.RegisterOptions{Name: schemas.ActivityLookAtRun})
	o.RegisterWorkflowWithOptions(Refresh, workflow.RegisterOptions{Name: schemas.WorkflowRefresh})
	o.RegisterWorkflowWithOptions(func(ctx workflow.Context, in schemas.ScheduledStart) (schemas.ScheduledResult, error) {
		out, err := ScheduledRun(ctx, in)
		o.by[in.Export.Name] = in.By
		if out.Skipped != "" {
			o.skipped[in.Export.Name] = workflow.GetInfo(ctx).WorkflowExecution.ID + " " + out.Skipped
		}
		return out, err
	}, workflow.RegisterOptions{Name: schemas.WorkflowScheduledRun})
	o.RegisterWorkflowWithOptions(Notify, workflow.RegisterOptions{Name: schemas.WorkflowNotify})
	o.RegisterWorkflowWithOptions(TriggeredRun, workflow.RegisterOptions{Name: schemas.WorkflowTriggeredRun})
	o.RegisterWorkflowWithOptions(withTime, workflow.RegisterOptions{Name: "withTime"})
	o.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
	o.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.MatchedBy(func(in schemas.RunInput) bool { return in.Export.Name == o.busy })).
		Return(schemas.RunResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{}).Maybe()
	o.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(func(ctx workflow.Context, in schemas.RunInput) (schemas.RunResult, error) {
		name := in.Export.Name
		o.ran[name] = workflow.Now(ctx).Sub(o.began)
		if string(in.Grant.MAC) != name || in.Trigger.Kind != schemas.TriggerSchedule {
			return schemas.RunResult{}, temporal.NewApplicationError("another's grant", schemas.ErrorGrant)
		}
		err := workflow.Sleep(ctx, time.Hour)
		if err == nil {
			err = o.ends[name]
		}
		result := o.result[name]
		result.Export, result.RunID = name, "run of "+name
		return result, err
	})
	o.OnWorkflow(schemas.WorkflowNotify, mock.Anything, mock.Anything).Return(func(_ workflow.Context, in schemas.NotifyInput) error {
		o.told = append(o.told, in.To.URL.URL+" "+in.Message.Type+": "+in.Message.Data.Message)
		return nil
	})
	o.OnUpsertMemo(mock.Anything).Return(nil).Maybe()
	o.began = o.Now()
	return o
}

// refresh runs Refresh and returns the states of the exports.
func (o *office) refresh(t *testing.T, in schemas.RefreshInput) map[string]string {
	t.Helper()
	in.Export.Name = o.plan.Members[0].Export
	o.ExecuteWorkflow(Refresh, in)
	var out schemas.RefreshResult
	if err := o.GetWorkflowError(); err != nil {
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, schemas.ErrorRefreshFailed, app.Type())
		require.NoError(t, app.Details(&out))
	} else {
		require.NoError(t, o.GetWorkflowResult(&out))
	}
	states := map[string]string{}
	for _, e := range out.Exports {
		states[e.Export] = strings.TrimSuffix(e.State+": "+e.Why, ": ")
	}
	return states
}

// wanted is what an export of a refresh is after.
func wanted(name, failure string, after ...string) schemas.Export {
	return schemas.Export{Name: name, After: after, AfterFailure: failure}
}

var failure = temporal.NewNonRetryableApplicationError("1 of 1 segments were not exported", schemas.ErrorSegmentsFailed, nil)

// TestRefreshKeepsTheOrder: independent exports run at the same time, the others after all of
// theirs, each with its own grant.
func TestRefreshKeepsTheOrder(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", ""), wanted("C", "", "A", "B"), wanted("D", "", "A"), wanted("E", "", "C"))
	require.Equal(t, map[string]string{"A": "done", "B": "done", "C": "done", "D": "done", "E": "done"}, o.refresh(t, schemas.RefreshInput{}))
	require.Equal(t, map[string]time.Duration{"A": 0, "B": 0, "C": time.Hour, "D": time.Hour, "E": 2 * time.Hour}, o.ran)
	require.Empty(t, o.told)
}

func TestRefreshAfterAFailure(t *testing.T) {
	const left, told = `skipped: "A" was not done: failed`, " run.overdue: the run that was due after others at 26 Nov 2026 04:00 UTC was not started, because one of those was not done"
	o := newOffice(wanted("A", ""), wanted("B", "", "A"), wanted("C", "", "B"), wanted("D", schemas.AfterRun, "A"), wanted("E", ""))
	o.ends["A"] = failure
	require.Equal(t, map[string]string{
		"A": "failed: 1 of 1 segments were not exported", "B": left, "C": `skipped: "B" was not done: skipped`,
		"D": `done: started although "A" was not done: failed`, "E": "done",
	}, o.refresh(t, schemas.RefreshInput{}))
	require.ErrorContains(t, o.GetWorkflowError(), `1 of 5 exports were not done: "A" failed`)
	require.ElementsMatch(t, []string{"A", "D", "E"}, slices.Collect(maps.Keys(o.ran)))
	require.Equal(t, map[string]string{"B": "schedule/B" + atFour + " " + left, "C": "schedule/C" + atFour + ` skipped: "B" was not done: skipped`}, o.skipped)
	require.ElementsMatch(t, []string{"https://example.com/B" + told, "https://example.com/C" + told}, o.told)
}

// TestRefreshLeavesOut: what is no failure of a run stops those after it as well; who paused or
// runs it knows.
func TestRefreshLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *office)
		states map[string]string
		told   int
	}{
		"aborted": {func(o *office) {
			o.ends["A"] = temporal.NewNonRetryableApplicationError("ann", schemas.ErrorAborted, nil)
		},
			map[string]string{"A": "aborted: ann", "B": `skipped: "A" was not done: aborted`}, 1},
		"cancelled": {func(o *office) { o.ends["A"] = temporal.NewCanceledError() },
			map[string]string{"A": "cancelled: child workflow", "B": `skipped: "A" was not done: cancelled`}, 1},
		"its data was not ready": {func(o *office) {
			o.result["A"] = schemas.RunResult{Segments: []schemas.ExportReport{{State: schemas.StateDone}, {State: schemas.StateSkipped}}}
		}, map[string]string{"A": "skipped: the data of 1 of 2 segments was not ready", "B": `skipped: "A" was not done: skipped`}, 1},
		"removed": {func(o *office) { delete(o.applied, "A") },
			map[string]string{"A": "skipped: it was removed", "B": `skipped: "A" was not done: skipped`}, 1},
		"not in the refresh": {func(o *office) { o.plan.Members[1].After = []string{"X"} },
			map[string]string{"A": "done", "B": `skipped: "X" is not applied`}, 1},
		"paused": {func(o *office) { o.applied["A"] = schemas.AppliedNow{Input: o.applied["A"].Input, Paused: true} },
			map[string]string{"A": `skipped: "A" is paused`, "B": `skipped: "A" was not done: skipped`}, 0},
		"the one after it is paused": {func(o *office) { o.applied["B"] = schemas.AppliedNow{Input: o.applied["B"].Input, Paused: true} },
			map[string]string{"A": "done", "B": `skipped: "B" is paused`}, 0},
		"the other one is removed": {func(o *office) { delete(o.applied, "B") }, map[string]string{"A": "done", "B": "skipped: it was removed"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(wanted("A", ""), wanted("B", "", "A"))
			c.change(o)
			states := o.refresh(t, schemas.RefreshInput{})
			require.True(t, strings.HasPrefix(states["A"], c.states["A"]), states["A"])
			require.Equal(t, c.states["B"], states["B"])
			require.Len(t, o.told, c.told)
		})
	}
}

// TestRefreshWhileOneWaits: who runs anyway does not wait for the answer of a person; others do.
// All wait for data.
func TestRefreshWhileOneWaits(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", "", "A"), wanted("C", schemas.AfterRun, "A"))
	o.states = map[string]string{"A": schemas.StateAwaitingData}
	o.RegisterDelayedCallback(func() { o.states["A"] = schemas.StateWaiting }, 4*time.Minute)
	require.Equal(t, map[string]string{"A": "done", "B": "done", "C": `done: started although "A" waits for a person`}, o.refresh(t, schemas.RefreshInput{}))
	require.Equal(t, []time.Duration{20 * time.Second, time.Minute, 140 * time.Second, 5 * time.Minute}, o.looks)
	require.Equal(t, map[string]time.Duration{"A": 0, "B": time.Hour, "C": 5 * time.Minute}, o.ran)
}

// TestRefreshLooksEveryTenMinutes at the run of an export that one with afterFailure: run is after,
// once it has been under way for long.
func TestRefreshLooksEveryTenMinutes(t *testing.T) {
	const waits = 31 * time.Minute
	o := newOffice(wanted("A", ""), wanted("C", schemas.AfterRun, "A"))
	o.states = map[string]string{"A": schemas.StateRunning}
	o.RegisterDelayedCallback(func() { o.states["A"] = schemas.StateWaiting }, waits)
	o.refresh(t, schemas.RefreshInput{})
	if began := o.ran["C"]; began < waits || began > waits+10*time.Minute {
		t.Errorf("it started %s after the other began to wait", began-waits)
	}
}

// TestRefreshWhileARunIsUnderWay: it is skipped as a scheduled start is, and so are those after it.
func TestRefreshWhileARunIsUnderWay(t *testing.T) {
	o := newOfficeWhere("A", wanted("A", ""), wanted("B", "", "A"))
	require.Equal(t, map[string]string{"A": `skipped: a run of "A" was already under way`, "B": `skipped: "A" was not done: skipped`}, o.refresh(t, schemas.RefreshInput{}))
	require.Len(t, o.skipped, 2)
	require.Empty(t, o.told)
}

// TestRefreshWhileAPersonsRunIsUnderWay: nothing else would start what is after it, so the refresh
// goes on with its end, which it waits for up to a day.
func TestRefreshWhileAPersonsRunIsUnderWay(t *testing.T) {
	const anyway = `done: started although "A" waits for a person`
	for end, c := range map[string]struct {
		want  map[string]string
		told  int
		waits time.Duration // with looks up to ten minutes apart
	}{
		schemas.StateDone:   {map[string]string{"A": `done: a run of "A" was already under way`, "B": "done", "C": anyway}, 0, 30 * time.Minute},
		schemas.StateFailed: {map[string]string{"A": `failed: a run of "A" was already under way`, "B": `skipped: "A" was not done: failed`, "C": anyway}, 1, 30 * time.Minute},
		schemas.StateWaiting: {map[string]string{"A": `skipped: a run of "A" has been under way for more than a day`, "B": `skipped: "A" was not done: skipped`,
			"C": anyway}, 1, 24 * time.Hour},
	} {
		t.Run(end, func(t *testing.T) {
			o := newOfficeWhere("A", wanted("A", ""), wanted("B", "", "A"), wanted("C", schemas.AfterRun, "A"))
			o.alone, o.states = true, map[string]string{"A": schemas.StateRunning}
			o.RegisterDelayedCallback(func() { o.states["A"] = schemas.StateWaiting }, 4*time.Minute)
			o.RegisterDelayedCallback(func() { o.states["A"] = end }, 30*time.Minute)
			require.Equal(t, c.want, o.refresh(t, schemas.RefreshInput{}))
			require.Len(t, o.told, c.told)
			require.InDelta(t, c.waits.Minutes(), slices.Max(o.looks).Minutes(), 10)
		})
	}
}

// TestRefreshThatWasReset: what it had started before is under way, and is not reported as failed.
func TestRefreshThatWasReset(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", "", "A"))
	o.OnWorkflow(schemas.WorkflowScheduledRun, mock.Anything, mock.MatchedBy(func(in schemas.ScheduledStart) bool { return in.Export.Name == "A" })).
		Return(schemas.ScheduledResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{})
	o.OnWorkflow(schemas.WorkflowScheduledRun, mock.Anything, mock.Anything).Return(ScheduledRun)
	o.states = map[string]string{"A": schemas.StateRunning}
	o.RegisterDelayedCallback(func() { o.states["A"] = schemas.StateDone }, 4*time.Minute)
	require.Equal(t, map[string]string{"A": "done", "B": "done"}, o.refresh(t, schemas.RefreshInput{}))
	require.Equal(t, map[string]time.Duration{"B": 5 * time.Minute}, o.ran)
}

// TestRefreshByAnotherSchedule: of several that start together, one refreshes all.
func TestRefreshByAnotherSchedule(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", "", "A"))
	o.plan.Leader = "0"
	o.ExecuteWorkflow(Refresh, schemas.RefreshInput{ScheduledInput: *o.applied["A"].Input})
	var out schemas.RefreshResult
	require.NoError(t, o.GetWorkflowResult(&out))
	require.Equal(t, schemas.RefreshResult{Leader: "0"}, out)
	require.Empty(t, o.ran)
}

// TestRefreshForALaterTime: of several that were missed, only the last one runs the exports.
func TestRefreshForALaterTime(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", "", "A"))
	o.OnActivity(schemas.ActivityReadRefresh, mock.Anything, schemas.RefreshRequest{Export: "A", At: atFour}).Return(schemas.RefreshPlan{Leader: "A", Later: "refresh/A-2026-11-26T05:00:00Z"}, nil)
	o.ExecuteWorkflow(Refresh, schemas.RefreshInput{ScheduledInput: *o.applied["A"].Input})
	var out schemas.RefreshResult
	require.NoError(t, o.GetWorkflowResult(&out))
	require.Equal(t, schemas.RefreshResult{Later: "refresh/A-2026-11-26T05:00:00Z"}, out)
	require.Empty(t, o.ran)
}

// TestRefreshIsCancelled: what has begun is cancelled, and what has not does not begin.
func TestRefreshIsCancelled(t *testing.T) {
	o := newOffice(wanted("A", ""), wanted("B", "", "A"))
	o.RegisterDelayedCallback(o.CancelWorkflow, time.Minute)
	o.ExecuteWorkflow(Refresh, schemas.RefreshInput{ScheduledInput: *o.applied["A"].Input})
	require.True(t, temporal.IsCanceledError(o.GetWorkflowError()), o.GetWorkflowError())
	require.Len(t, o.ran, 1)
}

// TestNewsRefreshWhatIsAfter: after a run for news of the data, those after it run, and no other.
func TestNewsRefreshWhatIsAfter(t *testing.T) {
	for name, c := range map[string]struct {
		fail   bool
		ran    int
		reason string
	}{"done": {false, 1, ""}, "failed": {true, 0, `skipped: "Spring" was not done: failed`}} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(wanted("Spring", ""), wanted("B", "", "Spring", "elsewhere"))
			news := o.applied["Spring"]
			news.Input.Followers = []string{"B"}
			if c.fail {
				o.ends["Spring"] = failure
			}
			var request schemas.RefreshRequest
			o.OnActivity(schemas.ActivityReadRefresh, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.RefreshRequest) (schemas.RefreshPlan, error) {
				request = in
				return o.plan, nil
			})
			o.RegisterDelayedCallback(func() { o.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"}) }, 0)
			o.ExecuteWorkflow(withTime)
			require.NoError(t, o.GetWorkflowError())
			require.Equal(t, schemas.RefreshRequest{Export: "Spring", Alone: true}, request)
			_, ran := o.ran["B"]
			require.Equal(t, !c.fail, ran)
			require.Contains(t, o.skipped["B"], c.reason)
			require.Len(t, o.ran, 1+c.ran)
			require.Equal(t, map[string]string{"B": "s3"}, o.by)
		})
	}
}

// TestNewsWhileWhatIsAfterIsUnderWay: it may have read the data before, so it runs once more.
func TestNewsWhileWhatIsAfterIsUnderWay(t *testing.T) {
	for name, alone := range map[string]bool{"by a schedule": false, "by a person": true} {
		t.Run(name, func(t *testing.T) {
			o := newOfficeWhere("B", wanted("Spring", ""), wanted("B", "", "Spring"), wanted("C", "", "B"))
			o.applied["Spring"].Input.Followers = []string{"B"}
			o.alone, o.states = alone, map[string]string{"B": schemas.StateRunning}
			o.RegisterDelayedCallback(func() { o.busy, o.states["B"] = "", schemas.StateDone }, 100*time.Minute)
			o.RegisterDelayedCallback(func() { o.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"}) }, 0)
			o.ExecuteWorkflow(withTime)
			require.NoError(t, o.GetWorkflowError())
			require.Greater(t, o.ran["B"], 100*time.Minute)
			require.GreaterOrEqual(t, o.ran["C"], o.ran["B"]+time.Hour)
		})
	}
	// It runs as it is applied then, if it still is.
	for change, want := range map[string]string{"applied again": "", "paused": `skipped: "B" is paused`, "removed": "was already under way"} {
		t.Run(change, func(t *testing.T) {
			o := newOfficeWhere("B", wanted("Spring", ""), wanted("B", "", "Spring"))
			o.applied["Spring"].Input.Followers = []string{"B"}
			o.states = map[string]string{"B": schemas.StateRunning}
			var filled string
			o.OnWorkflow(schemas.WorkflowScheduledRun, mock.Anything, mock.Anything).Return(func(ctx workflow.Context, in schemas.ScheduledStart) (schemas.ScheduledResult, error) {
				out, err := ScheduledRun(ctx, in)
				if filled = in.Export.Email; out.Skipped != "" {
					o.skipped["B"] = out.Skipped
				}
				return out, err
			})
			o.RegisterDelayedCallback(func() {
				now := o.applied["B"]
				switch change {
				case "paused":
					now.Paused = true
				case "removed":
					now.Input = nil
				default:
					in := *now.Input
					in.Export.Email, now.Input = "new", &in
				}
				o.busy, o.states["B"], o.applied["B"] = "", schemas.StateDone, now
			}, 100*time.Minute)
			o.RegisterDelayedCallback(func() { o.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"}) }, 0)
			o.ExecuteWorkflow(withTime)
			require.NoError(t, o.GetWorkflowError())
			_, ran := o.ran["B"]
			require.Equal(t, change == "applied again", ran)
			require.Equal(t, change == "applied again", filled == "new")
			require.Contains(t, o.skipped["B"], want)
		})
	}
}

// withTime calls TriggeredRun, and leaves time for what it has started: the test environment ends
// with its workflow.
func withTime(ctx workflow.Context) error {
	if err := TriggeredRun(ctx, schemas.TriggeredInput{}); err != nil {
		return err
	}
	return workflow.Sleep(ctx, 3*time.Hour)
}
