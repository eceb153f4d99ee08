package operate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
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

// starts is a Temporal with scheduled starts, newest first, and no runs.
type starts struct {
	client.Client
	all []*workflow.WorkflowExecutionInfo
}

func (s starts) ListWorkflow(_ context.Context, in *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	if strings.Contains(in.Query, schemas.WorkflowScheduledRun) {
		out.Executions = s.all
	}
	return out, nil
}

// TestASkippedStartThatARefreshMadeUpFor says so, and is listed once.
func TestASkippedStartThatARefreshMadeUpFor(t *testing.T) {
	at := time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)
	start := func(export string, minute int, skipped string) *workflow.WorkflowExecutionInfo {
		e := &workflow.WorkflowExecutionInfo{
			Execution: &common.WorkflowExecution{WorkflowId: schemas.ScheduledWorkflowID(export) + "-2026-05-04T04:00:00Z", RunId: fmt.Sprint(export, minute)},
			Status:    enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, StartTime: timestamppb.New(at.Add(time.Duration(minute) * time.Minute)), CloseTime: timestamppb.Now(),
		}
		if skipped != "" {
			payload, err := converter.GetDefaultDataConverter().ToPayload("skipped: " + skipped)
			if err != nil {
				t.Fatal(err)
			}
			e.Memo = &common.Memo{Fields: map[string]*common.Payload{schemas.MemoSkipped: payload}}
		}
		return e
	}
	o := &Session{Client: starts{all: []*workflow.WorkflowExecutionInfo{
		start("After", 9, ""), start("Twice", 8, "still under way"), start("After", 5, "still under way"), start("After", 1, "under way"), start("Twice", 1, "under way"), start("Paused", 0, "it is paused"),
	}}}
	views, err := o.History(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range views {
		got = append(got, v.Run.RunID+" "+v.State+" "+v.Error)
		if v.MadeUp.IsZero() != !strings.Contains(v.Error, "made up") {
			t.Errorf("%s: %s", v.Error, v.MadeUp)
		}
	}
	const again = "; the refresh made up for it at 4 May 2026 04:09 UTC"
	if want := []string{"Twice8 skipped skipped: still under way", "After5 skipped skipped: still under way" + again, "Paused0 skipped skipped: it is paused"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
