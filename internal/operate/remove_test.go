package operate

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// oneExport is a Temporal that has one schedule, whose removals end with an error.
type oneExport struct {
	client.Client
	start, end error
	schedule   oneSchedule
	pages      int
	running    string // prefix of the IDs of workflows that have not ended
}

func (o *oneExport) CountWorkflow(_ context.Context, in *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	out := &workflowservice.CountWorkflowExecutionsResponse{}
	if o.running != "" && strings.Contains(in.Query, strconv.Quote(o.running)) {
		out.Count = 1
	}
	return out, nil
}

type oneSchedule struct {
	client.ScheduleClient
	client.ScheduleHandle
	paused bool
	note   string
}

type oneRun struct {
	client.WorkflowRun
	end error
}

func (o *oneExport) ScheduleClient() client.ScheduleClient { return &o.schedule }

func (s *oneSchedule) GetHandle(context.Context, string) client.ScheduleHandle { return s }

func (s *oneSchedule) Pause(context.Context, client.SchedulePauseOptions) error {
	s.paused = true
	return nil
}

func (s *oneSchedule) Update(_ context.Context, o client.ScheduleUpdateOptions) error {
	next, err := o.DoUpdate(client.ScheduleUpdateInput{})
	if err == nil {
		s.paused, s.note = next.Schedule.State.Paused, next.Schedule.State.Note
	}
	return err
}

func (s *oneSchedule) Describe(context.Context) (*client.ScheduleDescription, error) {
	return &client.ScheduleDescription{}, nil
}

func (o *oneExport) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("no such workflow")
}

// TerminateWorkflow finds no workflow that collects news of the export.
func (o *oneExport) TerminateWorkflow(context.Context, string, string, string, ...any) error {
	return serviceerror.NewNotFound("no such workflow")
}

func (o *oneExport) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return oneRun{end: o.end}, o.start
}

func (r oneRun) Get(context.Context, any) error { return r.end }

// ListWorkflow has no end.
func (o *oneExport) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	o.pages++
	return &workflowservice.ListWorkflowExecutionsResponse{
		Executions: []*workflow.WorkflowExecutionInfo{{Execution: &common.WorkflowExecution{}}}, NextPageToken: []byte("more"),
	}, nil
}

// TestNothingStartsWhileARemovalMayGoOn: a schedule goes on after a removal that has
// failed, and not after one whose end was only not waited for.
func TestNothingStartsWhileARemovalMayGoOn(t *testing.T) {
	failed := new(temporal.WorkflowExecutionError)
	for name, c := range map[string]struct {
		start, end error
		paused     bool
	}{
		"it failed":                   {nil, failed, false},
		"a run began before it":       {serviceerror.NewWorkflowExecutionAlreadyStarted("started", "", ""), nil, false},
		"it was waited for too long":  {nil, context.DeadlineExceeded, true},
		"the one who asked went away": {nil, context.Canceled, true},
		"its start was not answered":  {serviceerror.NewUnavailable("no answer"), nil, true},
		"Temporal went away":          {nil, serviceerror.NewUnavailable("no answer"), true},
	} {
		f := &oneExport{start: c.start, end: c.end}
		o := &Session{Client: f}
		_, err := o.Remove(t.Context(), Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{Name: "A"}}}, false)
		if err == nil || f.schedule.paused != c.paused || c.paused && !errors.Is(err, ErrUnderWay) {
			t.Errorf("%s: paused: %v, %v", name, f.schedule.paused, err)
		}
	}
}

// TestListsEnd: who lists runs does not have Temporal looked through from end to end.
func TestListsEnd(t *testing.T) {
	f := &oneExport{}
	if all, err := (&Session{Client: f}).History(t.Context(), "A", 20); err != nil || len(all) != 0 || f.pages != 2*mostPages {
		t.Errorf("%d runs of %d pages, %v", len(all), f.pages, err)
	}
}

// TestARemovalWaitsForTheListsOfTrials, which may outlive the run of their trial for a moment.
func TestARemovalWaitsForTheListsOfTrials(t *testing.T) {
	f := &oneExport{running: schemas.RunWorkflowID(schemas.TrialName("A")) + "/"}
	for _, name := range []string{"A", schemas.TrialName("A")} {
		if _, err := (&Session{Client: f}).RemoveUnapplied(t.Context(), schemas.Export{Name: name}, false); !errors.Is(err, ErrUnderWay) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
