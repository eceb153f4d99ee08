package operate

import (
	"context"
	"fmt"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// Cancel asks a run to stop. What it has staged is deleted.
func (o *Operator) Cancel(ctx context.Context, run Run) error {
	d, err := o.Client.DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
	ended := err == nil && d.WorkflowExecutionInfo.CloseTime != nil
	if err == nil && !ended {
		err = o.Client.CancelWorkflow(ctx, run.WorkflowID, run.RunID)
	}
	if ended || absent(err) {
		return access.No(schemas.ErrorConflict, "the run %s of «%s» has ended already, so there is nothing to stop", run.RunID, run.Export)
	}
	if err != nil {
		return fmt.Errorf("cancel the run of «%s»: %w", run.Export, err)
	}
	return nil
}
