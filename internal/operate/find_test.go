package operate

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/schemas"
)

// namedLikeARun is a Temporal with a run of Payroll, and one of an export that somebody has named
// like the ID of that run.
type namedLikeARun struct {
	client.Client
	run string
}

func (n namedLikeARun) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if id != schemas.RunWorkflowID(n.run) {
		return nil, errors.New("another workflow")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: id, RunId: "of the other"},
	}}, nil
}

func (n namedLikeARun) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflow.WorkflowExecutionInfo{
		{Execution: &common.WorkflowExecution{WorkflowId: schemas.RunWorkflowID("Payroll"), RunId: n.run}},
	}}, nil
}

// TestARunIsFoundByItsID: starter cancel with the ID of a run stops that run.
func TestARunIsFoundByItsID(t *testing.T) {
	const id = "01a2b3c4-0000-7000-8000-000000000001"
	o := &Session{Client: namedLikeARun{run: id}}
	want := Run{Export: "Payroll", WorkflowID: schemas.RunWorkflowID("Payroll"), RunID: id}
	if run, err := o.Find(t.Context(), id); err != nil || run != want {
		t.Errorf("%+v, %v", run, err)
	}
}
