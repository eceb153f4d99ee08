package operate

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// endedRun is a Temporal with one run that has ended, whose result can't be read.
type endedRun struct {
	client.Client
	err error
	get func()
}

func (e *endedRun) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		StartTime: timestamppb.Now(), CloseTime: timestamppb.Now(), Status: enums.WORKFLOW_EXECUTION_STATUS_COMPLETED,
	}}, nil
}

func (e *endedRun) GetWorkflow(context.Context, string, string) client.WorkflowRun {
	e.get()
	return oneRun{end: e.err}
}

// TestALookThatIsCutOffIsNoFailureOfTheRun: only its result says how a run has ended.
func TestALookThatIsCutOffIsNoFailureOfTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	run := Run{WorkflowID: "export/Spring", RunID: "1"}
	o := &Session{Client: &endedRun{err: context.Canceled, get: cancel}}
	if v, err := o.Look(ctx, run); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that has ended well is %q: %s, %v", v.State, v.Error, err)
	}
	// gRPC looks at the clock itself, so its deadline can pass before the context's has.
	o = &Session{Client: &endedRun{err: serviceerror.NewDeadlineExceeded("context deadline exceeded"), get: func() {}}}
	if v, err := o.Look(t.Context(), run); err == nil {
		t.Errorf("a run whose result could not be read is %q: %s", v.State, v.Error)
	}
}
