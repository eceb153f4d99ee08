package operate

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/schemas"
)

// pages is a Temporal whose list has that many runs, a hundred a page.
type pages struct {
	client.Client
	runs int
}

func (p pages) ListWorkflow(_ context.Context, in *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	first, _ := strconv.Atoi(string(in.NextPageToken))
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for n := first; n < min(first+100, p.runs); n++ {
		id := schemas.RunWorkflowID(fmt.Sprint("Export ", n))
		out.Executions = append(out.Executions, &workflow.WorkflowExecutionInfo{
			Execution: &common.WorkflowExecution{WorkflowId: id, RunId: strconv.Itoa(n)}, Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING, StartTime: timestamppb.Now(),
		})
	}
	if first+100 < p.runs {
		out.NextPageToken = []byte(strconv.Itoa(first + 100))
	}
	return out, nil
}

// TestAllRunsUnderWay are listed, however many there are.
func TestAllRunsUnderWay(t *testing.T) {
	const many = 1234
	o := &Session{Client: pages{runs: many}}
	if runs, err := o.Recent(t.Context(), true); err != nil || len(runs) != many || runs[many-1].Run.RunID != strconv.Itoa(many-1) {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if runs, err := o.Recent(t.Context(), false); err != nil || len(runs) != maxListed {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}
