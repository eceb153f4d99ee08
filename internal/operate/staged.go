package operate

import (
	"context"
	"fmt"
	"math"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/schemas"
)

// mostExecutions is how many executions LastStaged reads: the current one, and those before
// it that ended before they staged anything, such as those that found no new data.
const mostExecutions = 1000

// LastStaged returns the newest staging of a segment over the run's connection, or nil if
// the namespace has kept no history of one. If there are too many histories to read, it returns
// a staging that is newer than any snapshot: the data root then counts as restored, and nobody
// is removed who should stay.
func (o *Session) LastStaged(ctx context.Context, run schemas.RunRef) (*schemas.Staged, error) {
	id := schemas.SegmentWorkflowID(run.Export, run.Segment)
	newest, err := o.execution(ctx, id, "")
	if newest == nil || err != nil {
		return nil, err
	}
	runs := []string{newest.Execution.RunId}
	earlier, err := o.list(ctx, fmt.Sprintf("WorkflowId = %q", id), func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		return Run{WorkflowID: id, RunID: e.Execution.RunId}, e.Execution.RunId != runs[0] // the list is some moments late
	}, mostExecutions-1)
	if err != nil {
		return nil, err
	}
	for _, v := range earlier {
		runs = append(runs, v.Run.RunID)
	}
	for _, execution := range runs {
		if staged, err := o.staged(ctx, id, execution, run.Connection); staged != nil || err != nil {
			return staged, err
		}
	}
	if len(runs) == mostExecutions {
		return &schemas.Staged{Version: math.MaxInt64}, nil
	}
	return nil, nil
}

// staged reads one execution's history from its end.
func (o *Session) staged(ctx context.Context, id, execution, connection string) (*schemas.Staged, error) {
	results := map[int64]*common.Payloads{} // by the event that scheduled the activity
	committed, closed := false, false
	var page []byte
	for {
		answer, err := o.Client.WorkflowService().GetWorkflowExecutionHistoryReverse(ctx, &workflowservice.GetWorkflowExecutionHistoryReverseRequest{
			Namespace: o.Namespace, Execution: &common.WorkflowExecution{WorkflowId: id, RunId: execution}, NextPageToken: page,
		})
		if absent(err) {
			return nil, nil // it was kept for long enough
		}
		if err != nil {
			return nil, fmt.Errorf("read the history of workflow %q: %w", id, err)
		}
		for _, e := range answer.GetHistory().GetEvents() {
			if e.EventType == enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED {
				done := e.GetActivityTaskCompletedEventAttributes()
				results[done.ScheduledEventId] = done.Result
			}
			found, err := stagedBy(e, results)
			if err != nil {
				return nil, fmt.Errorf("read the history of workflow %q: %w", id, err)
			}
			switch {
			case found == nil:
				if results[e.EventId] != nil {
					name := e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
					committed, closed = committed || name == schemas.ActivityCommitSnapshot, closed || name == schemas.ActivityCloseRun
				}
			case found.connection != connection:
				return nil, nil
			default:
				found.Committed, found.Closed = committed, closed
				return &found.Staged, nil
			}
		}
		if page = answer.NextPageToken; len(page) == 0 {
			return nil, nil
		}
	}
}

// stagedOver is a staging, and the connection that it was for.
type stagedOver struct {
	schemas.Staged
	connection string
}

// stagedBy returns the staging that an event shows, if it schedules an upload, or a staging
// that has a result.
func stagedBy(e *history.HistoryEvent, results map[int64]*common.Payloads) (*stagedOver, error) {
	scheduled := e.GetActivityTaskScheduledEventAttributes()
	from := converter.GetDefaultDataConverter().FromPayloads
	switch scheduled.GetActivityType().GetName() {
	case schemas.ActivityUploadBatches:
		var in schemas.UploadInput
		err := from(scheduled.Input, &in)
		done := results[e.EventId] != nil || in.First > 0 // an earlier chunk was sent
		return &stagedOver{schemas.Staged{Attempt: in.Attempt, Version: in.SnapshotVersion, Sending: true, Sent: done}, in.Run.Connection}, err
	case schemas.ActivityStageSegment:
		result, ok := results[e.EventId]
		if !ok {
			return nil, nil // it failed, or has not ended
		}
		var in schemas.StageInput
		var m schemas.Manifest
		err := from(scheduled.Input, &in)
		if err == nil {
			err = from(result, &m)
		}
		return &stagedOver{schemas.Staged{Attempt: m.Attempt, Version: m.SnapshotVersion}, in.Run.Connection}, err
	}
	return nil, nil
}
