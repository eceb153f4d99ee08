package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// beginning is Temporal with a run of an administrator over a shared connection. The run begins to
// wait once it was asked for its progress a number of times.
type beginning struct {
	client.Client
	segments          []schemas.Segment
	asked, waitsAfter int
	waits             schemas.ErrorType // of the wait
	answers           []string          // those that the run got
}

func (b *beginning) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return firstEvent{segments: b.segments}
}

type firstEvent struct {
	client.HistoryEventIterator
	segments []schemas.Segment
}

func (f firstEvent) Next() (*history.HistoryEvent, error) {
	in, err := converter.GetDefaultDataConverter().ToPayloads(schemas.RunInput{Export: schemas.Export{Name: "Spring", Connection: "shared", Segments: f.segments}})
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: in},
	}}, err
}

func (b *beginning) DescribeWorkflowExecution(_ context.Context, id, run string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: id, RunId: run}, Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}}, nil
}

func (b *beginning) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	p := schemas.RunProgress{Export: "Spring", RunID: "r1", State: schemas.StateRunning}
	if b.asked++; b.asked > b.waitsAfter {
		p.Waiting = &schemas.Waiting{ID: "abc-1", Type: cmp.Or(b.waits, schemas.ErrorListForeign), Message: "go on?", Answers: []string{schemas.UpdateApprove, schemas.UpdateRetry, schemas.UpdateAbort}, Since: time.Now()}
	}
	return encoded{p}, nil
}

type encoded struct{ value any }

func (e encoded) HasValue() bool { return true }
func (e encoded) Get(to any) error {
	data, err := json.Marshal(e.value)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	return err
}

func (b *beginning) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	b.answers = append(b.answers, o.UpdateName)
	return accepted{}, nil
}

type accepted struct{ client.WorkflowUpdateHandle }

func (accepted) Get(context.Context, any) error { return nil }

// TestAWaitIsNotAnsweredBeforeItBegins: the ID of the next wait can be guessed. A contributor sends
// the approval of a handover that only an administrator may approve again and again, so that the
// wait begins while the gateway deals with one of them.
func TestAWaitIsNotAnsweredBeforeItBegins(t *testing.T) {
	shared := schemas.Connection{Name: "shared", Allowed: []string{schemas.AllowContributors}}
	for after := range 5 {
		for _, role := range []schemas.Role{schemas.RoleContributor, schemas.RoleAdministrator} {
			b := &beginning{waitsAfter: after}
			office := &Office{
				Client: b, Log: slog.New(slog.DiscardHandler), Known: func() (ConnectionSource, error) { return projects{"shared": shared}, nil },
				Gate: func(context.Context) (*access.Gate, error) { return nil, nil },
			}
			_, err := office.As(schemas.Person{Name: "eve", Role: role}).Answer(t.Context(), operate.Run{Export: "Spring", WorkflowID: schemas.RunWorkflowID("Spring"), RunID: "r1"}, AnswerRequest{Answer: schemas.UpdateApprove, Wait: "abc-1"})
			want := 0
			if role == schemas.RoleAdministrator && after == 0 {
				want = 1
			}
			if len(b.answers) != want || (err == nil) != (want > 0) {
				t.Errorf("a wait that begins after %d looks gets %v from a %s, %v", after, b.answers, role, err)
			}
			if after == 0 && role == schemas.RoleContributor && !access.IsRefused(err, schemas.ErrorNotAllowed) {
				t.Errorf("a contributor's approval: %v", err)
			}
		}
	}
}

// TestOnlyAdministratorsApproveDoubtfulSuppressionLists: everybody who may use the connection has the
// other answers, and approves what other guardrails stop.
func TestOnlyAdministratorsApproveDoubtfulSuppressionLists(t *testing.T) {
	for _, c := range []struct {
		waits   schemas.ErrorType
		role    schemas.Role
		answer  string
		allowed bool
	}{
		{schemas.ErrorSuppressionDoubtful, schemas.RoleContributor, schemas.UpdateApprove, false},
		{schemas.ErrorSuppressionDoubtful, schemas.RoleContributor, schemas.UpdateRetry, true},
		{schemas.ErrorSuppressionDoubtful, schemas.RoleContributor, schemas.UpdateAbort, true},
		{schemas.ErrorSuppressionDoubtful, schemas.RoleAdministrator, schemas.UpdateApprove, true},
		{schemas.ErrorGuardrail, schemas.RoleContributor, schemas.UpdateApprove, true},
	} {
		b := &beginning{waits: c.waits}
		office := &Office{
			Client: b, Log: slog.New(slog.DiscardHandler),
			Known: func() (ConnectionSource, error) {
				return projects{"shared": {Name: "shared", Allowed: []string{schemas.AllowContributors}}}, nil
			},
			Gate: func(context.Context) (*access.Gate, error) { return nil, nil },
		}
		_, err := office.As(schemas.Person{Name: "eve", Role: c.role}).Answer(t.Context(), operate.Run{Export: "Spring", WorkflowID: schemas.RunWorkflowID("Spring"), RunID: "r1"}, AnswerRequest{Answer: c.answer, Wait: "abc-1"})
		if (err == nil) != c.allowed || len(b.answers) > 0 != c.allowed || !c.allowed && !access.IsRefused(err, schemas.ErrorNotAllowed) {
			t.Errorf("a wait of type %s, %s by a %s: %v, %v", c.waits, c.answer, c.role, b.answers, err)
		}
	}
}

// TestARunWithoutListsHasNoRecord: the lists of a segment with forEach are not known before its rows
// are read, and there may be none to name with --segment.
func TestARunWithoutListsHasNoRecord(t *testing.T) {
	shared := schemas.Connection{Name: "shared", Allowed: []string{schemas.AllowContributors}}
	b := &beginning{waitsAfter: 9, segments: []schemas.Segment{{Name: "People of {Country}", Source: "x", ForEach: "Country"}}}
	office := &Office{
		Client: b, Log: slog.New(slog.DiscardHandler), Known: func() (ConnectionSource, error) { return projects{"shared": shared}, nil },
		Gate: func(context.Context) (*access.Gate, error) { return nil, nil },
		Root: func(context.Context) (*storage.Root, error) { return nil, nil },
	}
	err := office.As(schemas.Person{Name: "eve", Role: schemas.RoleContributor}).Record(t.Context(), operate.Run{Export: "Spring", WorkflowID: schemas.RunWorkflowID("Spring"), RunID: "r1"}, "", io.Discard)
	if !access.IsRefused(err, schemas.ErrorNotKept) || strings.Contains(err.Error(), "0 lists") {
		t.Error(err)
	}
}
