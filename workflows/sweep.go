package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// Sweep deletes what runs have left in the data root. A Temporal Schedule starts it, once
// for all workers. It does not retry: the schedule's next start does.
func Sweep(ctx workflow.Context) (schemas.SweepResult, error) {
	ctx = workflow.WithRetryPolicy(long(ctx, "Sweep the data root"), temporal.RetryPolicy{MaximumAttempts: 1})
	var out schemas.SweepResult
	err := workflow.ExecuteActivity(ctx, schemas.ActivitySweep).Get(ctx, &out)
	if err == nil {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("Deleted: staged data of %d segments, rejects of %d runs, reports of %d runs, %d unfinished files.",
			out.Staged, out.Rejects, out.Reports, out.Unfinished))
	}
	return out, err
}
