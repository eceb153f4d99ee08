package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// ScheduledRun is what a schedule starts, under an id with the time in it. It runs
// the export under the one id that all runs of the export share, and waits for the
// end, so that Temporal knows that the schedule's last start is still under way.
// Where somebody has started a run before, the schedule's start is skipped, and
// says so.
func ScheduledRun(ctx workflow.Context, in schemas.ScheduledInput) (schemas.ScheduledResult, error) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("The schedule of **export «%s»** runs it as `%s`.", in.Export.Name, schemas.RunWorkflowID(in.Export.Name)))
	trigger := schemas.Trigger{Kind: schemas.TriggerSchedule}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            schemas.RunWorkflowID(in.Export.Name),
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		// A run has a name that operators know: only they end it.
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_ABANDON,
		WaitForCancellation: true,
		Memo:                map[string]any{schemas.MemoTrigger: trigger},
		StaticSummary:       fmt.Sprintf("Export «%s» over connection «%s»", in.Export.Name, in.Export.Connection),
	}), schemas.WorkflowRunExport, schemas.RunInput{Export: in.Export, Grant: in.Grant, Trigger: trigger})
	var result schemas.RunResult
	err := child.Get(ctx, &result)
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch {
	case errors.As(err, &started):
		return skipped(ctx, in.Export.Name)
	case err != nil:
		return schemas.ScheduledResult{}, err
	}
	return schemas.ScheduledResult{Run: &result}, nil
}

// skipped notes, where people look, that the schedule's start came to nothing.
func skipped(ctx workflow.Context, export string) (schemas.ScheduledResult, error) {
	why := fmt.Sprintf("skipped: a run of «%s» was under way already", export)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Export «%s»** %s (`%s`).", export, why, schemas.RunWorkflowID(export)))
	return schemas.ScheduledResult{Skipped: why}, workflow.UpsertMemo(ctx, map[string]any{schemas.MemoSkipped: why})
}
