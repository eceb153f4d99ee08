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

// retries is the policy of every activity: again and again. The activities themselves give
// up once they have failed for the export's deadline, since only they know whether they
// get on: a time limit here would stop an upload that is long and healthy. What can't be
// cured by trying comes back as a non-retryable error.
var retries = &temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    time.Minute,
}

// quick is for activities that answer within seconds; a try that takes over
// five minutes is given up and started again.
func quick(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, 5*time.Minute, summary)
}

// long is for activities that take as long as the segment is large. Temporal wants a
// limit, and heartbeats find a worker that is gone.
func long(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, 365*24*time.Hour, summary)
}

// unservedAfter is how long an activity of a connection waits for a worker before the run
// looks whether any serves the connection. Workers may just be busy.
const unservedAfter = 3 * time.Minute

// connected has an activity done by a worker that serves the connection.
func connected(ctx workflow.Context, c schemas.ConnectionInfo) workflow.Context {
	return workflow.WithScheduleToStartTimeout(workflow.WithTaskQueue(ctx, c.TaskQueue), unservedAfter)
}

// access is for what says who may do what.
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
