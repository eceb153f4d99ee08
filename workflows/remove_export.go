package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// RemoveExport deletes what is kept of an export. It has the workflow id of the
// export's runs, so that none is under way meanwhile and none can start.
func RemoveExport(ctx workflow.Context, in schemas.AskInput) (schemas.AskAnswer, error) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Deletes what is kept of the export of `%s`.", workflow.GetInfo(ctx).WorkflowExecution.ID))
	ctx = workflow.WithScheduleToCloseTimeout(access(ctx, "Remove what is kept"), administerTime)
	var out schemas.AskAnswer
	err := workflow.ExecuteActivity(ctx, schemas.ActivityAdminister, in).Get(ctx, &out)
	return out, err
}
