package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// Times of TriggeredRun. A job writes many files, and the storage sends an event for each.
const (
	quietAfterNews = 10 * time.Second // without news before a run starts
	mostNewsTime   = 2 * time.Minute  // how long news may delay the start
	// fewestRetry and mostRetry bound the time between attempts to start a run while
	// another one is under way.
	fewestRetry = 10 * time.Second
	mostRetry   = 10 * time.Minute
	// mostAttempts is how many attempts one execution makes, so that its history stays short.
	mostAttempts = 200
	// clockMargin is how far the clocks of a worker and of Temporal may be apart.
	clockMargin = 5 * time.Second
)

// triggeredRun is the state of one TriggeredRun execution.
type triggeredRun struct {
	channel workflow.ReceiveChannel
	news    *schemas.News // the latest that no run has started for
	at      time.Time     // when it came
}

// TriggeredRun starts what the schedule of an export starts, after news of its data: once
// for all news that come before the run has looked at the data, and again for later ones.
// While another run is under way, it tries again later. Each attempt reads the schedule, so
// that a change, a pause or a removal counts. Each piece of news is a signal; the first one
// starts the workflow.
func TriggeredRun(ctx workflow.Context, in schemas.TriggeredInput) error {
	r := &triggeredRun{channel: workflow.GetSignalChannel(ctx, schemas.SignalNews), news: in.News, at: in.At}
	if r.news == nil {
		r.receive(ctx)
	}
	pause := fewestRetry
	for attempts := 1; ; attempts++ {
		if err := r.settle(ctx); err != nil {
			return err
		}
		n := *r.news
		r.news = nil
		result, err := r.attempt(ctx, n)
		r.drain(ctx)
		var under *temporal.ChildWorkflowExecutionAlreadyStartedError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errLongHistory):
			return r.again(ctx)
		case errors.As(err, &under):
			if r.news == nil {
				r.news = &n
			}
			if err := workflow.Sleep(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, mostRetry)
		case r.news == nil, err == nil && covers(result, r.at):
			return nil // how the run ended is in its own reports
		default:
			pause = fewestRetry
		}
		if attempts >= mostAttempts || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return r.again(ctx)
		}
	}
}

// Errors of an attempt.
var (
	errNotApplied  = errors.New("the export is paused or not applied")
	errLongHistory = errors.New("the history has grown too long during the run")
)

// attempt runs what the export's schedule starts now, and waits for the end. News that come
// meanwhile are kept.
func (r *triggeredRun) attempt(ctx workflow.Context, n schemas.News) (result schemas.RunResult, err error) {
	var now schemas.AppliedNow
	if err := workflow.ExecuteActivity(quick(ctx, "Read the schedule"), schemas.ActivityReadSchedule, n.Export).Get(ctx, &now); err != nil {
		return result, err
	}
	if now.Input == nil || now.Paused {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Export %q**: news by %s started no run: %v.", n.Export, n.By, errNotApplied))
		return result, errNotApplied
	}
	child := startScheduled(ctx, *now.Input, schemas.Trigger{Kind: schemas.TriggerEvent, Who: n.By})
	ended := false
	s := workflow.NewSelector(ctx)
	s.AddFuture(child, func(workflow.Future) { ended = true })
	s.AddReceive(r.channel, func(workflow.ReceiveChannel, bool) { r.receive(ctx) })
	for s.Select(ctx); !ended; s.Select(ctx) {
		if r.news != nil && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return result, errLongHistory // the run goes on, and the next execution tries until it has ended
		}
	}
	err = child.Get(ctx, &result)
	var under *temporal.ChildWorkflowExecutionAlreadyStartedError
	if len(now.Input.Followers) > 0 && !errors.As(err, &under) && ctx.Err() == nil {
		refreshAfter(ctx, *now.Input, n.By, endedAs(n.Export, err, result, ""))
	}
	return result, err
}

// again continues with the latest news in a new execution.
func (r *triggeredRun) again(ctx workflow.Context) error {
	r.drain(ctx)
	return workflow.NewContinueAsNewError(ctx, schemas.WorkflowTriggeredRun, schemas.TriggeredInput{News: r.news, At: r.at})
}

// receive blocks until there is news.
func (r *triggeredRun) receive(ctx workflow.Context) {
	var n schemas.News
	r.channel.Receive(ctx, &n)
	r.keep(ctx, n)
}

func (r *triggeredRun) keep(ctx workflow.Context, n schemas.News) {
	r.news, r.at = &n, workflow.Now(ctx)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Export %q**: news by %s at %s.", n.Export, n.By, schemas.Moment(r.at)))
}

// drain receives what has come already.
func (r *triggeredRun) drain(ctx workflow.Context) {
	var n schemas.News
	for r.channel.ReceiveAsync(&n) {
		r.keep(ctx, n)
		n = schemas.News{}
	}
}

// settle blocks until there has been no news for a while.
func (r *triggeredRun) settle(ctx workflow.Context) error {
	for until := workflow.Now(ctx).Add(mostNewsTime); workflow.Now(ctx).Before(until); {
		before := r.at
		if err := workflow.Sleep(ctx, quietAfterNews); err != nil {
			return err
		}
		if r.drain(ctx); r.at.Equal(before) {
			return nil
		}
	}
	return nil
}

// covers reports whether a run has looked at all data after that time.
func covers(result schemas.RunResult, at time.Time) bool {
	for _, s := range result.Segments {
		if s.State != schemas.StateSkipped && s.Info.LookedAt.Before(at.Add(clockMargin)) {
			return false
		}
	}
	return true
}
