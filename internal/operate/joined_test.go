package operate

import (
	"context"
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
	"iterable-segment-export/schemas"
)

// TestARunThatHasLooked holds states of a run under way, and whether newer data is for another
// run.
func TestARunThatHasLooked(t *testing.T) {
	segment := func(state string, looked time.Time) SegmentView {
		return SegmentView{Progress: schemas.Progress{State: state, Report: schemas.ExportReport{Info: schemas.SegmentInfo{LookedAt: looked}}}}
	}
	waits := segment(schemas.StateAwaitingData, time.Time{})
	for name, c := range map[string]struct {
		state    string
		segments []SegmentView
		want     bool
	}{
		"has just begun":                   {schemas.StateRunning, nil, false},
		"its segments begin":               {schemas.StateRunning, []SegmentView{segment(schemas.StateRunning, time.Time{})}, false},
		"waits for data":                   {schemas.StateAwaitingData, []SegmentView{waits, waits}, false},
		"an operator is asked for data":    {schemas.StateWaiting, []SegmentView{segment(schemas.StateWaiting, time.Time{})}, false},
		"sends":                            {schemas.StateRunning, []SegmentView{segment(schemas.StateRunning, due)}, true},
		"an operator is asked for changes": {schemas.StateWaiting, []SegmentView{segment(schemas.StateWaiting, due)}, true},
		"one segment has looked":           {schemas.StateRunning, []SegmentView{waits, segment(schemas.StateDone, due)}, true},
		"one segment was skipped":          {schemas.StateRunning, []SegmentView{waits, segment(schemas.StateSkipped, time.Time{})}, true},
		"has ended":                        {schemas.StateDone, nil, true},
	} {
		if got := (View{State: c.state, Segments: c.segments}).looked(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// underWayNow is a Temporal with one run that has just begun.
type underWayNow struct {
	client.Client
	in schemas.RunInput
}

type oneEvent struct {
	client.HistoryEventIterator
	in schemas.RunInput
}

type progress struct{}

func (u underWayNow) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return oneEvent{in: u.in}
}

func (e oneEvent) Next() (*history.HistoryEvent, error) {
	input, err := converter.GetDefaultDataConverter().ToPayloads(e.in)
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: input},
	}}, err
}

func (u underWayNow) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{}, Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING}}, nil
}

func (u underWayNow) QueryWorkflow(context.Context, string, string, string, ...any) (converter.EncodedValue, error) {
	return progress{}, nil
}

func (progress) HasValue() bool { return true }

func (progress) Get(out any) error {
	*out.(*schemas.RunProgress) = schemas.RunProgress{State: schemas.StateRunning}
	return nil
}

// TestOnlyARunThatWaitsForDataIsJoinedForIt: a person's plain run reads what is there, although
// it may not have looked yet.
func TestOnlyARunThatWaitsForDataIsJoinedForIt(t *testing.T) {
	export := schemas.Export{Name: "A"}
	for name, c := range map[string]struct {
		in           schemas.RunInput
		await, joins bool
	}{
		"a plain run":                        {schemas.RunInput{Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}}, true, false},
		"a plain run, which another one may": {schemas.RunInput{Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}}, false, true},
		"one that waits":                     {schemas.RunInput{Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}, AwaitData: true}, true, true},
		"a scheduled one":                    {schemas.RunInput{Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule}}, true, true},
	} {
		c.in.Export = export
		err := (&Session{Client: underWayNow{in: c.in}, AwaitData: c.await}).mayJoin(t.Context(), Run{Export: "A"}, export, false)
		if c.joins != (err == nil) || err != nil && !access.IsRefused(err, schemas.ErrorHasLooked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
