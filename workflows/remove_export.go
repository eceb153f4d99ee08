package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// removeTime bounds the removal of an export.
const removeTime = 10 * time.Minute

// RemoveExport deletes what is kept of an export. It has the workflow id of the
// export's runs, so that none is under way meanwhile and none can start.
func RemoveExport(ctx workflow.Context, in schemas.RemoveInput) (schemas.RemoveAnswer, error) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Deletes what is kept of the export of `%s`.", workflow.GetInfo(ctx).WorkflowExecution.ID))
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, "Remove what is kept"), removeTime)
	var out schemas.RemoveAnswer
	err := workflow.ExecuteActivity(ctx, schemas.ActivityRemoveExport, in).Get(ctx, &out)
	return out, err
}
