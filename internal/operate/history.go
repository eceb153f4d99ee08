package operate

import (
	"cmp"
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

// maxListed bounds what Recent reads of runs that have ended, so that it answers at
// once in a namespace of any size.
const maxListed = 500

// History returns the latest runs of an export, newest first, at most limit of them; an
// empty name means every export. Scheduled starts that were skipped are among them. Of a
// run that can't be asked only the state is known.
func (o *Session) History(ctx context.Context, export string, limit int) ([]View, error) {
	query := fmt.Sprintf("WorkflowType = %q", schemas.WorkflowRunExport)
	if export != "" {
		query += fmt.Sprintf(" AND WorkflowId = %q", schemas.RunWorkflowID(export))
	}
	runs, err := o.list(ctx, query, runOf, limit)
	if err != nil {
		return nil, err
	}
	for i, v := range runs {
		if runs[i], err = o.Look(ctx, v.Run); err != nil {
			runs[i] = v // no worker answers, or the run is gone
		}
	}
	// A refresh tries a skipped start again, under the same ID, after the run that was under way.
	started, seen := map[string]time.Time{}, map[string]bool{}
	skipped, err := o.list(ctx, fmt.Sprintf("WorkflowType = %q", schemas.WorkflowScheduledRun), func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		id, why := e.Execution.WorkflowId, ""
		name, ok := schemas.ExportOfScheduled(id)
		switch {
		case !ok, export != "" && name != export:
			return Run{}, false
		case !memo(e, schemas.MemoSkipped, &why):
			started[id] = e.StartTime.AsTime()
			return Run{}, false
		}
		again := seen[id]
		seen[id] = true
		return Run{Export: name, WorkflowID: id, RunID: e.Execution.RunId}, !again
	}, limit)
	if err != nil {
		return nil, err
	}
	for i := range skipped {
		if at := started[skipped[i].Run.WorkflowID]; at.After(skipped[i].StartedAt) {
			skipped[i].MadeUp = at
			skipped[i].Error += fmt.Sprintf("; the refresh made up for it at %s", skipped[i].MadeUp.UTC().Format(schemas.LateTime))
		}
		skipped[i].State = schemas.StateSkipped
		if skipped[i].Trigger.Kind == "" {
			skipped[i].Trigger.Kind = schemas.TriggerSchedule
		}
	}
	all := append(runs, skipped...)
	slices.SortStableFunc(all, func(a, b View) int { return b.StartedAt.Compare(a.StartedAt) })
	return all[:min(limit, len(all))], nil
}

// Recent returns the newest runs as Temporal lists them, without asking each run for its
// progress. With underWay it returns all runs that have not ended, and no others.
func (o *Session) Recent(ctx context.Context, underWay bool) ([]View, error) {
	query := fmt.Sprintf("WorkflowType = %q", schemas.WorkflowRunExport)
	if underWay {
		return o.list(ctx, query+" AND ExecutionStatus = 'Running'", runOf, unlimited)
	}
	return o.list(ctx, query, runOf, maxListed)
}

// Newest returns the newest run of an export, in any state, as Temporal describes it. first is
// the run ID that it began with: a run that was reset in Temporal has a new one. The error is
// ErrNoRun if Temporal knows of no run, or if the export was removed after its last one.
func (o *Session) Newest(ctx context.Context, export string) (newest View, first string, err error) {
	e, err := o.execution(ctx, schemas.RunWorkflowID(export), "")
	if err != nil {
		return newest, "", err
	}
	if e == nil || e.Type.GetName() != schemas.WorkflowRunExport {
		return newest, "", fmt.Errorf("%w of %q", ErrNoRun, export)
	}
	run := Run{Export: export, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}
	return listed(e, run), cmp.Or(e.FirstRunId, run.RunID), nil
}

func runOf(e *workflow.WorkflowExecutionInfo) (Run, bool) {
	name, ok := schemas.ExportOfRun(e.Execution.WorkflowId)
	return Run{Export: name, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}, ok
}

// mostPages is how many pages of workflows list reads, of a thousand each.
const mostPages = 10

// unlimited is the limit of a list that reads all pages.
const unlimited = -1

// list returns what Temporal's list says about the workflows that match query and of, at most
// limit of them.
func (o *Session) list(ctx context.Context, query string, of func(*workflow.WorkflowExecutionInfo) (Run, bool), limit int) ([]View, error) {
	var out []View
	var page []byte
	for pages := 0; limit == unlimited || pages < mostPages; pages++ {
		list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: o.Namespace, Query: query, NextPageToken: page})
		if err != nil {
			return nil, fmt.Errorf("list the runs: %w", err)
		}
		for _, e := range list.Executions {
			run, ok := of(e)
			if !ok {
				continue
			}
			if out = append(out, listed(e, run)); len(out) == limit {
				return out, nil
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			break
		}
	}
	return out, nil
}

// listed returns what Temporal's list says about a run. Only its result tells a failed run from
// an aborted one, and a done one from a skipped one.
func listed(e *workflow.WorkflowExecutionInfo, run Run) View {
	v := View{Run: run, State: schemas.StateRunning, StartedAt: e.StartTime.AsTime()}
	if e.CloseTime != nil {
		v.FinishedAt, v.State = e.CloseTime.AsTime(), schemas.StateFailed
	}
	switch e.Status {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		v.State = schemas.StateDone
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		v.State = schemas.StateCancelled
	}
	memo(e, schemas.MemoTrigger, &v.Trigger)
	memo(e, schemas.MemoSkipped, &v.Error)
	return v
}

// memo decodes the entry of a workflow's memo under key, and reports whether it exists.
func memo(e *workflow.WorkflowExecutionInfo, key string, out any) bool {
	p, ok := e.GetMemo().GetFields()[key]
	return ok && converter.GetDefaultDataConverter().FromPayload(p, out) == nil
}

// absent reports whether err says that Temporal has no such execution or schedule.
func absent(err error) bool {
	var missing *serviceerror.NotFound
	var invalid *serviceerror.InvalidArgument // not a valid run ID
	return errors.As(err, &missing) || errors.As(err, &invalid)
}

// Input returns what a run was started with.
func (o *Session) Input(ctx context.Context, run Run) (schemas.RunInput, error) {
	var in schemas.RunInput
	events := o.Client.GetWorkflowHistory(ctx, run.WorkflowID, run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if absent(err) {
		return in, fmt.Errorf("%w: %s", ErrNoRun, run.RunID)
	}
	if err != nil {
		return in, fmt.Errorf("read the first event of the run of %q: %w", run.Export, err)
	}
	err = converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	return in, err
}

// execution describes a workflow execution. It returns nil if there is none.
func (o *Session) execution(ctx context.Context, id, run string) (*workflow.WorkflowExecutionInfo, error) {
	d, err := o.Client.DescribeWorkflowExecution(ctx, id, run)
	switch {
	case err == nil:
		return d.WorkflowExecutionInfo, nil
	case absent(err):
		return nil, nil
	}
	return nil, fmt.Errorf("describe workflow %q: %w", id, err)
}

// unended reports whether an execution exists and has not ended.
func unended(e *workflow.WorkflowExecutionInfo) bool {
	return e != nil && e.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// RunState is what Temporal knows about the run of a segment.
type RunState struct {
	// Lives reports whether the run, or the segment's part of it, may go on at any time.
	// Known reports whether Temporal has heard of the run. UnderWay reports whether any
	// run of the export has not ended.
	Lives, Known, UnderWay bool
}

// RunState reads Temporal's histories, which are always up to date, unlike its lists.
func (o *Session) RunState(ctx context.Context, run schemas.RunRef) (s RunState, err error) {
	for _, id := range []string{schemas.RunWorkflowID(run.Export), schemas.CheckWorkflowID(run.Export)} {
		this, err := o.execution(ctx, id, run.RunID)
		if err != nil {
			return s, err
		}
		s.Known = s.Known || this != nil
		s.Lives = s.Lives || unended(this)
	}
	newest, err := o.execution(ctx, schemas.RunWorkflowID(run.Export), "")
	if err != nil {
		return s, err
	}
	if s.UnderWay = unended(newest); s.UnderWay && newest.FirstRunId == run.RunID {
		s.Known, s.Lives = true, true // it was reset in Temporal, and goes on under another run ID
	}
	for _, id := range []string{schemas.SegmentWorkflowID(run.Export, run.Segment), schemas.CheckSegmentWorkflowID(run.Export, run.Segment)} {
		part, err := o.execution(ctx, id, "")
		if err != nil {
			return s, err
		}
		if !unended(part) {
			continue
		}
		s.UnderWay = true
		// A segment's workflow outlives its run for a moment.
		if part.ParentExecution == nil || part.ParentExecution.RunId == run.RunID {
			s.Lives = true
		}
	}
	return s, nil
}
