package operate

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// endedRun is a Temporal with one run that has ended, whose result comes too late.
type endedRun struct {
	client.Client
	late context.CancelFunc
}

func (e *endedRun) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		StartTime: timestamppb.Now(), CloseTime: timestamppb.Now(), Status: enums.WORKFLOW_EXECUTION_STATUS_COMPLETED,
	}}, nil
}

func (e *endedRun) GetWorkflow(context.Context, string, string) client.WorkflowRun {
	e.late()
	return oneRun{end: context.Canceled}
}

// TestALookThatIsCutOffIsNoFailureOfTheRun: only its result says how a run has ended.
func TestALookThatIsCutOffIsNoFailureOfTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := &Session{Client: &endedRun{late: cancel}}
	if v, err := o.Look(ctx, Run{WorkflowID: "export/Spring", RunID: "1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that has ended well is %q: %s, %v", v.State, v.Error, err)
	}
}
