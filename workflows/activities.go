package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// heartbeatTimeout is how long a worker may be silent before another one takes
// over what it was doing. Every activity sends heartbeats, whatever it does.
const heartbeatTimeout = 10 * time.Second

// retries is the policy of every activity: no limit. Activities stop by themselves once
// they have failed for the export's deadline, since only they know whether they make
// progress: a time limit here would stop a long, healthy upload. Permanent failures come
// back as non-retryable errors.
var retries = &temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    time.Minute,
}

// quick returns the options of activities that answer within seconds. An attempt that runs
// for over five minutes is started again.
func quick(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, 5*time.Minute, summary)
}

// long returns the options of activities that run for as long as the segment is large.
// Temporal requires a limit; heartbeats detect a dead worker.
func long(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, 365*24*time.Hour, summary)
}

// unservedAfter is how long an activity of a connection waits for a worker before the run
// asks whether any worker serves the connection. Workers may just be busy.
const unservedAfter = 3 * time.Minute

// connected returns the options of an activity that needs a worker serving the connection.
func connected(ctx workflow.Context, c schemas.ConnectionInfo) workflow.Context {
	return workflow.WithScheduleToStartTimeout(workflow.WithTaskQueue(ctx, c.TaskQueue), unservedAfter)
}

// access returns the options of activities that decide who may do what.
func access(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithTaskQueue(quick(ctx, summary), schemas.AccessTaskQueue)
}

func options(ctx workflow.Context, startToClose time.Duration, summary string) workflow.Context {
	o := workflow.GetActivityOptions(ctx)
	o.StartToCloseTimeout = startToClose
	o.HeartbeatTimeout = heartbeatTimeout
	o.RetryPolicy = retries
	o.Summary = summary
	o.WaitForCancellation = true
	return workflow.WithActivityOptions(ctx, o)
}
