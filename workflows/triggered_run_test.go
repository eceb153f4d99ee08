package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// newsroom is a test environment in which a run takes an hour, and looks at its data at
// the beginning.
type newsroom struct {
	*testsuite.TestWorkflowEnvironment
	runs []time.Time
	in   []schemas.RunInput
	now  schemas.AppliedNow // what the schedule is
	// ended is when the workflow timed ended, which calls TriggeredRun.
	ended time.Time
}

const timed = "timed"

func newNewsroom(fail func(n int) error) *newsroom {
	r := &newsroom{TestWorkflowEnvironment: newEnvironment()}
	r.now.Input = &schemas.ScheduledInput{Export: schemas.Export{Name: "Spring"}, Grant: &schemas.Grant{MAC: []byte("x")}}
	r.RegisterActivityWithOptions(func(_ context.Context, export string) (schemas.AppliedNow, error) {
		if export != "Spring" {
			return schemas.AppliedNow{}, nil
		}
		return r.now, nil
	}, activity.RegisterOptions{Name: schemas.ActivityReadSchedule})
	r.RegisterWorkflowWithOptions(TriggeredRun, workflow.RegisterOptions{Name: schemas.WorkflowTriggeredRun})
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in schemas.TriggeredInput) error {
		defer func() { r.ended = workflow.Now(ctx) }()
		return TriggeredRun(ctx, in)
	}, workflow.RegisterOptions{Name: timed})
	r.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
	r.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, in schemas.RunInput) (schemas.RunResult, error) {
			looked := workflow.Now(ctx)
			r.runs, r.in = append(r.runs, looked), append(r.in, in)
			if err := fail(len(r.runs)); err != nil {
				return schemas.RunResult{}, err
			}
			err := workflow.Sleep(ctx, time.Hour)
			return schemas.RunResult{Segments: []schemas.ExportReport{{State: schemas.StateDone, Info: schemas.SegmentInfo{LookedAt: looked}}}}, err
		})
	return r
}

func (r *newsroom) news(after time.Duration, n int) {
	r.RegisterDelayedCallback(func() {
		for range n {
			r.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"})
		}
	}, after)
}

func TestNewsMakeOneRun(t *testing.T) {
	for name, c := range map[string]struct {
		news map[time.Duration]int
		runs []time.Duration // since the first news
	}{
		"one":                {map[time.Duration]int{0: 1}, []time.Duration{10 * time.Second}},
		"a storm":            {map[time.Duration]int{0: 400, time.Second: 300, 5 * time.Second: 300}, []time.Duration{20 * time.Second}},
		"while it runs":      {map[time.Duration]int{0: 1, 30 * time.Minute: 5}, []time.Duration{10 * time.Second, time.Hour + 20*time.Second}},
		"just when it looks": {map[time.Duration]int{0: 1, 11 * time.Second: 1}, []time.Duration{10 * time.Second, time.Hour + 20*time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(func(int) error { return nil })
			began := r.Now()
			for after, n := range c.news {
				r.news(after, n)
			}
			r.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
			require.NoError(t, r.GetWorkflowError())
			require.Len(t, r.runs, len(c.runs))
			for i, after := range c.runs {
				require.Equal(t, after, r.runs[i].Sub(began), i)
				require.Equal(t, schemas.Trigger{Kind: schemas.TriggerSchedule}, r.in[i].Trigger, "the grant is for this")
				require.NotNil(t, r.in[i].Grant)
			}
		})
	}
}

// TestNewsThatDoNotEnd checks that news can't put off a run forever.
func TestNewsThatDoNotEnd(t *testing.T) {
	r := newNewsroom(func(int) error { return nil })
	began := r.Now()
	for after := time.Duration(0); after < 10*time.Minute; after += 5 * time.Second {
		r.news(after, 1)
	}
	r.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
	require.NoError(t, r.GetWorkflowError())
	require.Len(t, r.runs, 2)
	require.Equal(t, mostNewsTime, r.runs[0].Sub(began))
}

func TestAFailedRunIsNotRepeatedWithoutNews(t *testing.T) {
	r := newNewsroom(func(n int) error {
		if n == 1 {
			return temporal.NewNonRetryableApplicationError("no", schemas.ErrorSegmentsFailed, errors.New("no"))
		}
		return nil
	})
	r.news(0, 1)
	r.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
	require.NoError(t, r.GetWorkflowError())
	require.Len(t, r.runs, 1)
}

// TestNewsWhileAnotherRunIsUnderWay checks that the run for the news starts once the other
// has ended, with longer and longer pauses between the attempts.
func TestNewsWhileAnotherRunIsUnderWay(t *testing.T) {
	env := newEnvironment()
	env.RegisterWorkflowWithOptions(TriggeredRun, workflow.RegisterOptions{Name: schemas.WorkflowTriggeredRun})
	env.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
	env.RegisterActivityWithOptions(func(context.Context, string) (schemas.AppliedNow, error) {
		return schemas.AppliedNow{Input: &schemas.ScheduledInput{Export: schemas.Export{Name: "Spring"}}}, nil
	}, activity.RegisterOptions{Name: schemas.ActivityReadSchedule})
	env.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(schemas.RunResult{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{}).Times(3)
	var runs []time.Time
	env.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, _ schemas.RunInput) (schemas.RunResult, error) {
			runs = append(runs, workflow.Now(ctx))
			return schemas.RunResult{}, nil
		})
	began := env.Now()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"}) }, 0)
	env.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, runs, 1)
	require.Equal(t, 4*quietAfterNews+(1+2+4)*fewestRetry, runs[0].Sub(began))
}

// TestNewsStartWhatTheScheduleStartsNow: what was changed, paused or removed after the news
// counts.
func TestNewsStartWhatTheScheduleStartsNow(t *testing.T) {
	changed := &schemas.ScheduledInput{Export: schemas.Export{Name: "Spring", Email: "corrected"}, Grant: &schemas.Grant{MAC: []byte("y")}}
	for name, c := range map[string]struct {
		now  schemas.AppliedNow
		runs int
	}{
		"changed": {schemas.AppliedNow{Input: changed}, 1},
		"paused":  {schemas.AppliedNow{Input: changed, Paused: true}, 0},
		"removed": {schemas.AppliedNow{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newNewsroom(func(int) error { return nil })
			r.news(0, 1)
			r.RegisterDelayedCallback(func() { r.now = c.now }, time.Second)
			r.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
			require.NoError(t, r.GetWorkflowError())
			require.Len(t, r.in, c.runs)
			for _, in := range r.in {
				require.Equal(t, changed.Export, in.Export)
				require.Equal(t, changed.Grant, in.Grant)
			}
		})
	}
}

// TestNewsAfterAResumption: what comes while a paused export is looked up is not lost.
func TestNewsAfterAResumption(t *testing.T) {
	r := newNewsroom(func(int) error { return nil })
	r.now.Paused = true
	r.OnActivity(schemas.ActivityReadSchedule, mock.Anything, "Spring").Return(func(context.Context, string) (schemas.AppliedNow, error) {
		was := r.now
		if was.Paused {
			r.now.Paused = false
			r.SignalWorkflow(schemas.SignalNews, schemas.News{By: "s3", Export: "Spring"})
		}
		return was, nil
	})
	r.news(0, 1)
	r.ExecuteWorkflow(TriggeredRun, schemas.TriggeredInput{})
	require.NoError(t, r.GetWorkflowError())
	require.Len(t, r.in, 1)
}

// TestNewsDuringALongRun checks that the history does not grow with the news: the workflow
// continues in a new execution while the run goes on, with the latest news.
func TestNewsDuringALongRun(t *testing.T) {
	r := newNewsroom(func(int) error { return nil })
	r.news(0, 1)
	r.news(20*time.Minute, 1)
	r.RegisterDelayedCallback(func() { r.SetContinueAsNewSuggested(true) }, 25*time.Minute)
	r.news(30*time.Minute, 1)
	began := r.Now()
	r.ExecuteWorkflow(timed, schemas.TriggeredInput{})
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, r.GetWorkflowError(), &again)
	var in schemas.TriggeredInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, &schemas.News{By: "s3", Export: "Spring"}, in.News)
	require.Equal(t, 30*time.Minute, in.At.Sub(began))
	require.Equal(t, 30*time.Minute, r.ended.Sub(began), "before the end of the run")
	require.Len(t, r.in, 1)
}
