package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// FindLateRuns notifies of exports whose runs are overdue, unusually slow, or done again. A
// Temporal Schedule starts it, once for all workers. What the look before found is the last
// result of the schedule, so nothing is told twice. It does not retry: the next start looks
// again.
func FindLateRuns(ctx workflow.Context) (schemas.LateRuns, error) {
	var before, out schemas.LateRuns
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &before); err != nil {
			return out, err
		}
	}
	before.Found = nil
	look := workflow.WithRetryPolicy(quick(ctx, "Look for late runs"), temporal.RetryPolicy{MaximumAttempts: 1})
	if err := workflow.ExecuteActivity(look, schemas.ActivityFindLateRuns, before).Get(ctx, &out); err != nil {
		return out, err
	}
	for _, found := range out.Found {
		notify(ctx, found.Notify, "", schemas.Event{
			Event: found.Event, Export: found.Export, Connection: found.Connection, RunID: found.Late.RunID, Late: &found.Late,
			Message: found.Late.Message(found.Event), Commands: found.Late.Commands(found.Event, found.Export),
		})
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Looked at %d exports with an active schedule; %d are overdue or slow, or have recovered since the last look.", len(out.Exports), len(out.Found)))
	return out, nil
}
