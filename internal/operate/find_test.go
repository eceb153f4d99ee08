package operate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
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

// neverRan is a Temporal with the schedule of Follower, and no run.
type neverRan struct {
	client.Client
}

func (neverRan) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("no workflow")
}

func (neverRan) ScheduleClient() client.ScheduleClient { return followersSchedule{} }

type followersSchedule struct{ client.ScheduleClient }

func (followersSchedule) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	return &followersOnly{left: true}, nil
}

type followersOnly struct{ left bool }

func (s *followersOnly) HasNext() bool { return s.left }

func (s *followersOnly) Next() (*client.ScheduleListEntry, error) {
	s.left = false
	return &client.ScheduleListEntry{ID: schemas.ScheduleID("Follower")}, nil
}

// TestAnExportThatHasNotRun is no misspelt name.
func TestAnExportThatHasNotRun(t *testing.T) {
	o := &Session{Client: neverRan{}}
	for name, want := range map[string]string{
		"Follower": `the export "Follower" has not run yet; run it with: starter run "Follower"`,
		"Folower":  `neither a run ID nor an export that has run is called "Folower"; did you mean "Follower"?`,
	} {
		if _, err := o.Find(t.Context(), name); !errors.Is(err, ErrNoRun) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
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
