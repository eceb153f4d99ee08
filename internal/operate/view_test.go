package operate

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/schemas"
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

// ending is a Temporal in which one of two uploads ends between two looks at their run.
type ending struct {
	client.Client
	t         *testing.T
	described int
}

func (e *ending) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	p := schemas.Progress{State: schemas.StateRunning, Step: schemas.ActivityUploadBatches, Run: schemas.RunRef{RunID: "1"}}
	p.Report.Manifest.Adds = 100
	if e.described > 0 {
		p.Report.Upload = schemas.UploadCounts{Sent: 40, Refused: map[schemas.Reason]int64{schemas.ReasonSyntax: 10}}
	}
	return encoded{e.t, p}, nil
}

func (e *ending) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	e.described++
	beat, err := converter.GetDefaultDataConverter().ToPayloads(schemas.UploadProgress{Counts: schemas.UploadCounts{Sent: 5, Refused: map[schemas.Reason]int64{schemas.ReasonSyntax: 1}}})
	return &workflowservice.DescribeWorkflowExecutionResponse{PendingActivities: []*workflow.PendingActivityInfo{{
		ActivityType: &common.ActivityType{Name: schemas.ActivityUploadBatches}, HeartbeatDetails: beat,
	}}}, err
}

// encoded is the answer to a query.
type encoded struct {
	t *testing.T
	v any
}

func (encoded) HasValue() bool { return true }

func (e encoded) Get(out any) error {
	p, err := converter.GetDefaultDataConverter().ToPayloads(e.v)
	if err != nil {
		e.t.Error(err)
	}
	return converter.GetDefaultDataConverter().FromPayloads(p, out)
}

// TestCountsAreThoseOfOneMoment: what an activity has sent that ends during a look is in its
// workflow's progress by then, and not in a heartbeat.
func TestCountsAreThoseOfOneMoment(t *testing.T) {
	o := &Session{Client: &ending{t: t}}
	sv := o.lookSegment(t.Context(), Run{Export: "A"}, "1", schemas.SegmentProgress{Segment: "VIP", State: schemas.StateRunning})
	if sv.Handled != 56 || sv.Report.Upload.Sent != 45 || sv.Report.Upload.Refused[schemas.ReasonSyntax] != 11 {
		t.Errorf("%d handled, %+v", sv.Handled, sv.Report.Upload)
	}
}
