package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// ScheduledRun returns the workflow that a schedule starts, under an ID that contains the time.
// It runs the export under the ID that all runs of the export share and waits for its end,
// so that Temporal knows that the schedule's last start is still running. If a run is
// already in progress, it skips this one and records that. A Refresh starts it as well.
func ScheduledRun(ctx workflow.Context, in schemas.ScheduledStart) (schemas.ScheduledResult, error) {
	why := schemas.Trigger{Kind: schemas.TriggerSchedule}
	if in.By != "" {
		why = schemas.Trigger{Kind: schemas.TriggerEvent, Who: in.By}
	}
	if in.Skip != "" {
		return skipped(ctx, in, why, in.Skip)
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("The schedule of **export %q** runs it as `%s`.", in.Export.Name, schemas.RunWorkflowID(in.Export.Name)))
	var result schemas.RunResult
	err := startScheduled(ctx, in.ScheduledInput, why).Get(ctx, &result)
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch {
	case errors.As(err, &started):
		return skipped(ctx, in, why, fmt.Sprintf("a run of %q was already under way", in.Export.Name))
	case err != nil:
		return schemas.ScheduledResult{}, err
	}
	return schemas.ScheduledResult{Run: &result}, nil
}

// startScheduled starts a run of an export as its schedule does, with the grant that its
// schedule has. why is what the run is displayed to be started by.
func startScheduled(ctx workflow.Context, in schemas.ScheduledInput, why schemas.Trigger) workflow.ChildWorkflowFuture {
	return workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            schemas.RunWorkflowID(in.Export.Name),
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		// Operators know a run by its name, and only they end it.
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_ABANDON,
		WaitForCancellation: true,
		Memo:                map[string]any{schemas.MemoTrigger: why},
		StaticSummary:       fmt.Sprintf("Export %q over connection %q", in.Export.Name, in.Export.Connection),
	}), schemas.WorkflowRunExport, schemas.RunInput{Export: in.Export, Grant: in.Grant, Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule}})
}

// skipped records in the Temporal UI and in the memo why the start was skipped, what started it,
// and since when the run is overdue if it is.
func skipped(ctx workflow.Context, in schemas.ScheduledStart, by schemas.Trigger, why string) (schemas.ScheduledResult, error) {
	why = "skipped: " + why
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Export %q** %s (`%s`).", in.Export.Name, why, schemas.RunWorkflowID(in.Export.Name)))
	memo := map[string]any{schemas.MemoSkipped: why}
	if in.By != "" {
		memo[schemas.MemoTrigger] = by
	}
	if !in.Overdue.IsZero() {
		memo[schemas.MemoOverdue] = in.Overdue
	}
	return schemas.ScheduledResult{Skipped: why}, workflow.UpsertMemo(ctx, memo)
}
