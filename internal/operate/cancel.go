package operate

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"iterable-segment-export/schemas"
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

// Stop is Cancel for people: the worker says first whether the person may. The error
// is a *Refusal where it says no.
func (o *Operator) Stop(ctx context.Context, run Run) error {
	in, err := o.Input(ctx, run)
	if err != nil {
		return err
	}
	err = o.Ask(ctx, schemas.OperationCancel, schemas.CancelRequest{Export: run.Export, Connection: in.Export.Connection}, nil)
	if errors.Is(err, ErrNoWorker) {
		return fmt.Errorf("%w; without one: temporal workflow cancel --namespace %s --workflow-id %q --run-id %s", err, o.Namespace, run.WorkflowID, run.RunID)
	}
	if err != nil {
		return err
	}
	return o.Cancel(ctx, run)
}
