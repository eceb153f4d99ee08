package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// heartbeatTimeout is how long a worker may be silent before another one takes
// over what it was doing. Every activity sends heartbeats, whatever it does.
const heartbeatTimeout = 10 * time.Second

// retries is the policy of every activity: again and again, until the deadline
// of the step. What can't be cured so comes back as a non-retryable error.
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

// long is for activities that take as long as the segment is large.
func long(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, 0, summary)
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
