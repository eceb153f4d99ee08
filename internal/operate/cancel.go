package operate

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
)

// Cancel asks a run to stop. What it has staged is deleted.
func (o *Operator) Cancel(ctx context.Context, run Run) error {
	d, err := o.Client.DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
	ended := err == nil && d.WorkflowExecutionInfo.CloseTime != nil
	if err == nil && !ended {
		err = o.Client.CancelWorkflow(ctx, run.WorkflowID, run.RunID)
	}
	var gone *serviceerror.NotFound
	if ended || errors.As(err, &gone) {
		return fmt.Errorf("the run %s of «%s» has ended already, so there is nothing to stop", run.RunID, run.Export)
	}
	if err != nil {
		return fmt.Errorf("cancel the run of «%s»: %w", run.Export, err)
	}
	return nil
}
