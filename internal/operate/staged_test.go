package operate

import (
	"context"
	"math"
	"strconv"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"

	"iterable-segment-export/schemas"
)

// histories is a Temporal with executions of one workflow, numbered from the newest, of which
// only one has staged something.
type histories struct {
	client.Client
	number, staged int
	upload         *common.Payloads
}

func (h *histories) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: h.at(0)}, nil
}

func (h *histories) at(n int) *workflow.WorkflowExecutionInfo {
	return &workflow.WorkflowExecutionInfo{Execution: &common.WorkflowExecution{RunId: strconv.Itoa(n)}}
}

func (h *histories) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for n := range h.number {
		out.Executions = append(out.Executions, h.at(n))
	}
	return out, nil
}

// service is the part of the client that reads histories.
type service struct {
	workflowservice.WorkflowServiceClient
	of *histories
}

func (h *histories) WorkflowService() workflowservice.WorkflowServiceClient { return service{nil, h} }

func (h service) GetWorkflowExecutionHistoryReverse(_ context.Context, in *workflowservice.GetWorkflowExecutionHistoryReverseRequest, _ ...grpc.CallOption) (*workflowservice.GetWorkflowExecutionHistoryReverseResponse, error) {
	out := &workflowservice.GetWorkflowExecutionHistoryReverseResponse{History: &history.History{}}
	if in.Execution.RunId == strconv.Itoa(h.of.staged) {
		out.History.Events = append(out.History.Events, &history.HistoryEvent{
			EventType: enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
			Attributes: &history.HistoryEvent_ActivityTaskScheduledEventAttributes{ActivityTaskScheduledEventAttributes: &history.ActivityTaskScheduledEventAttributes{
				ActivityType: &common.ActivityType{Name: schemas.ActivityUploadBatches}, Input: h.of.upload,
			}},
		})
	}
	return out, nil
}

// TestLastStagedAfterRunsWithoutStaging has many runs that staged nothing since the last one
// that did, as an export with newerThan and then: skip has.
func TestLastStagedAfterRunsWithoutStaging(t *testing.T) {
	run := schemas.RunRef{Connection: "lake", Export: "Spring", Segment: "High-value"}
	upload, err := converter.GetDefaultDataConverter().ToPayloads(schemas.UploadInput{Run: run, Attempt: "a7", SnapshotVersion: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		number, staged int
		version        int64 // 0 if there is no staging
	}{{1, 0, 7}, {500, 499, 7}, {500, -1, 0}, {mostExecutions + 1, mostExecutions, math.MaxInt64}} {
		o := &Session{Client: &histories{number: c.number, staged: c.staged, upload: upload}}
		last, err := o.LastStaged(t.Context(), run)
		switch {
		case err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.version == 0 && last != nil, c.version > 0 && (last == nil || last.Version != c.version):
			t.Errorf("%+v: %+v", c, last)
		}
	}
}
