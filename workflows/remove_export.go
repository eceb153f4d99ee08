package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// removeTime bounds the removal of an export.
const removeTime = 10 * time.Minute

// RemoveExport deletes all data kept for an export. It has the workflow ID of the export's
// runs, so that no run can start or continue meanwhile.
func RemoveExport(ctx workflow.Context, in schemas.RemoveInput) (schemas.RemoveAnswer, error) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Deletes the data kept for the export of `%s`.", workflow.GetInfo(ctx).WorkflowExecution.ID))
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, "Delete the export's data"), removeTime)
	var out schemas.RemoveAnswer
	err := workflow.ExecuteActivity(ctx, schemas.ActivityRemoveExport, in).Get(ctx, &out)
	return out, err
}
