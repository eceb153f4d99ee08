package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/schemas"
)

// StateSkipped is the state of a schedule's start that started no run.
const StateSkipped = "skipped"

// History lists the runs of an export, the newest first, at most limit of them; an
// empty name is every export. The starts of schedules that were skipped are among
// them. Of runs under way only the state is known.
func (o *Operator) History(ctx context.Context, export string, limit int) ([]View, error) {
	ofRuns := fmt.Sprintf("WorkflowType = %q", schemas.WorkflowRunExport)
	if export != "" {
		ofRuns += fmt.Sprintf(" AND WorkflowId = %q", schemas.RunWorkflowID(export))
	}
	runs, err := o.list(ctx, ofRuns, func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		name, ok := schemas.ExportOfRun(e.Execution.WorkflowId)
		return Run{Export: name, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}, ok
	}, limit)
	if err != nil {
		return nil, err
	}
	for i, v := range runs {
		if runs[i], err = o.Look(ctx, v.Run); err != nil {
			runs[i] = v // no worker answers, or it is gone by now
		}
	}
	skipped, err := o.list(ctx, fmt.Sprintf("WorkflowType = %q", schemas.WorkflowScheduledRun), func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		name, ok := schemas.ExportOfScheduled(e.Execution.WorkflowId)
		var why string
		return Run{Export: name, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId},
			ok && (export == "" || name == export) && memo(e, schemas.MemoSkipped, &why)
	}, limit)
	if err != nil {
		return nil, err
	}
	for i := range skipped {
		skipped[i].State, skipped[i].Trigger.Kind = StateSkipped, "schedule"
	}
	all := append(runs, skipped...)
	slices.SortStableFunc(all, func(a, b View) int { return b.StartedAt.Compare(a.StartedAt) })
	return all[:min(limit, len(all))], nil
}

// mostPages is how many pages of workflows are looked through, of a thousand each.
const mostPages = 10

// list gives what is known of workflows without asking them.
func (o *Operator) list(ctx context.Context, query string, of func(*workflow.WorkflowExecutionInfo) (Run, bool), limit int) ([]View, error) {
	var out []View
	var page []byte
	for range mostPages {
		list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: o.Namespace, Query: query, NextPageToken: page})
		if err != nil {
			return nil, fmt.Errorf("list the runs: %w", err)
		}
		for _, e := range list.Executions {
			run, ok := of(e)
			if !ok {
				continue
			}
			v := View{Run: run, State: schemas.StateRunning, StartedAt: e.StartTime.AsTime()}
			if e.CloseTime != nil {
				v.FinishedAt = e.CloseTime.AsTime()
			}
			memo(e, schemas.MemoTrigger, &v.Trigger)
			memo(e, schemas.MemoSkipped, &v.Error)
			if out = append(out, v); len(out) == limit {
				return out, nil
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			break
		}
	}
	return out, nil
}

// memo decodes what a workflow's memo holds under a key, and tells whether it is
// there.
func memo(e *workflow.WorkflowExecutionInfo, key string, out any) bool {
	p, ok := e.GetMemo().GetFields()[key]
	return ok && converter.GetDefaultDataConverter().FromPayload(p, out) == nil
}

// Last gives the newest run of an export, false if it has never run.
func (o *Operator) Last(ctx context.Context, export string) (View, bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	run, err := o.Find(ctx, export)
	if err != nil {
		return View{}, false
	}
	v, err := o.Look(ctx, run)
	return v, err == nil
}

// UnderWay lists the runs that have not ended.
func (o *Operator) UnderWay(ctx context.Context) ([]Run, error) {
	query := fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Running'", schemas.WorkflowRunExport)
	views, err := o.list(ctx, query, func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		name, ok := schemas.ExportOfRun(e.Execution.WorkflowId)
		return Run{Export: name, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}, ok
	}, 0)
	runs := make([]Run, len(views))
	for i, v := range views {
		runs[i] = v.Run
	}
	return runs, err
}

// absent reports whether an error is that Temporal knows no such execution.
func absent(err error) bool {
	var missing *serviceerror.NotFound
	var invalid *serviceerror.InvalidArgument // a run id that is none
	return errors.As(err, &missing) || errors.As(err, &invalid)
}

// Input is what a run was started with.
func (o *Operator) Input(ctx context.Context, run Run) (schemas.RunInput, error) {
	var in schemas.RunInput
	events := o.Client.GetWorkflowHistory(ctx, run.WorkflowID, run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if absent(err) {
		return in, fmt.Errorf("%w: %s", ErrNoRun, run.RunID)
	}
	if err != nil {
		return in, fmt.Errorf("look at the beginning of the run of «%s»: %w", run.Export, err)
	}
	err = converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	return in, err
}
