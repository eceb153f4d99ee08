package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

const (
	// removeTime bounds the removal of an export.
	removeTime = 10 * time.Minute
	// endTime bounds the wait for a scheduled start after its run has ended.
	endTime = 10 * time.Second
)

// errGoesOn is the error of a removal that may still be going on.
var errGoesOn = errors.New("its removal goes on, and its schedule stays paused")

// ErrUnderWay is the error for what can't be done while an export runs.
var ErrUnderWay = errors.New("a run is under way")

func underWay(export string) error {
	return fmt.Errorf("%w of %q: wait until it has ended, or stop it with: starter cancel %s", ErrUnderWay, export, schemas.ShellWord(export))
}

// Idle returns ErrUnderWay while a run, a check or a trial of an export is under way.
func (o *Session) Idle(ctx context.Context, export string) error {
	if runs, err := o.runs(ctx, schemas.RunWorkflowID(schemas.TrialName(export))); err != nil {
		return err
	} else if runs {
		return underWay(schemas.TrialName(export))
	}
	if runs, err := o.runs(ctx, schemas.CheckWorkflowID(export)); err != nil {
		return err
	} else if runs {
		return fmt.Errorf("%w of %q, a check: wait until it has ended", ErrUnderWay, export)
	}
	if runs, err := o.runs(ctx, schemas.RunWorkflowID(export)); err != nil {
		return err
	} else if runs {
		return underWay(export)
	}
	return nil
}

// Remove deletes an export: its data in the data root, its lists if asked for, and its
// schedule. The schedule goes last, so that a removal that fails can be repeated. The
// error is ErrUnderWay while the export runs.
func (o *Session) Remove(ctx context.Context, a Applied, deleteLists bool) (schemas.RemoveAnswer, error) {
	// Nothing may start between the deletion of the data and that of the schedule.
	if !a.Paused {
		if err := o.Pause(ctx, a); err != nil {
			return schemas.RemoveAnswer{}, fmt.Errorf("pause the schedule of %q: %w", a.Export.Name, err)
		}
	}
	out, err := o.removeIdle(ctx, a, deleteLists)
	if err != nil {
		if !a.Paused && !errors.Is(err, errGoesOn) {
			err = errors.Join(err, o.Resume(context.WithoutCancel(ctx), a))
		}
		return out, err
	}
	if err := o.unfollow(ctx, a.Export); err != nil {
		return out, err
	}
	err = o.Client.ScheduleClient().GetHandle(ctx, a.ScheduleID).Delete(ctx)
	if err != nil && !absent(err) {
		return out, fmt.Errorf("delete the schedule of %q: %w", a.Export.Name, err)
	}
	return out, nil
}

// Described returns the export that the last run of that name was started with, as far
// as Temporal still has it.
func (o *Session) Described(ctx context.Context, name string) schemas.Export {
	if run, err := o.Find(ctx, name); err == nil {
		if in, err := o.Input(ctx, run); err == nil && in.Export.Name == name {
			return in.Export
		}
	}
	return schemas.Export{Name: name}
}

// RemoveUnapplied deletes what is kept of an export that has no schedule. The error is
// ErrNotApplied if nothing is kept.
func (o *Session) RemoveUnapplied(ctx context.Context, export schemas.Export, deleteLists bool) (schemas.RemoveAnswer, error) {
	a := Applied{ScheduledInput: schemas.ScheduledInput{Export: export}, ScheduleID: schemas.ScheduleID(export.Name)}
	out, err := o.removeIdle(ctx, a, deleteLists)
	if err == nil && out.Files == 0 && len(out.Lists) == 0 {
		return out, fmt.Errorf("%w: %q, and nothing is kept of one; starter exports lists the applied ones", ErrNotApplied, export.Name)
	}
	return out, err
}

// removeIdle removes the data, unless something is about to write more of it: a run, a
// check, or the last scheduled start, which has not begun its run.
func (o *Session) removeIdle(ctx context.Context, a Applied, deleteLists bool) (schemas.RemoveAnswer, error) {
	var none schemas.RemoveAnswer
	name := a.Export.Name
	if err := o.Idle(ctx, name); err != nil {
		return none, err
	}
	for _, segment := range a.Export.Segments { // one may outlive its run, and writes its report last
		for _, one := range append(segment.Lists(), segment.Name) {
			if closing, err := o.runs(ctx, schemas.SegmentWorkflowID(name, one)); err != nil {
				return none, err
			} else if closing {
				return none, fmt.Errorf("%w of %q: segment %q is about to end; remove the export again in a moment", ErrUnderWay, name, one)
			}
		}
	}
	if err := o.listsIdle(ctx, a.Export); err != nil {
		return none, err
	}
	d, err := o.Client.ScheduleClient().GetHandle(ctx, a.ScheduleID).Describe(ctx)
	if err != nil && !absent(err) {
		return none, fmt.Errorf("describe the schedule of %q: %w", name, err)
	}
	if err == nil {
		for _, started := range d.Info.RunningWorkflows {
			if d.Schedule.Action.(*client.ScheduleWorkflowAction).Workflow == schemas.WorkflowRefresh {
				continue // it reads the schedule again before it starts a run
			}
			if ended, err := o.ends(ctx, name, started.WorkflowID); err != nil {
				return none, err
			} else if !ended {
				return none, underWay(name)
			}
		}
	}
	if err := o.startsIdle(ctx, name); err != nil {
		return none, err
	}
	if err := o.forgetNews(ctx, name); err != nil {
		return none, fmt.Errorf("end the workflow with the news of %q: %w", name, err)
	}
	return o.removeData(ctx, schemas.RemoveInput{Export: a.Export, DeleteLists: deleteLists})
}

// listsIdle returns ErrUnderWay while a list that is named after a value, or one of a trial, still
// has a run. Only Temporal's list of workflows has the names, a moment late.
func (o *Session) listsIdle(ctx context.Context, e schemas.Export) error {
	names := []string{schemas.TrialName(e.Name)}
	if slices.ContainsFunc(e.Segments, func(s schemas.Segment) bool { return s.ForEach != "" }) || schemas.IsTrial(e.Name) {
		names = append(names, e.Name)
	}
	for _, name := range names {
		found, err := o.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: o.Namespace,
			Query: fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH %q",
				schemas.WorkflowExportSegment, schemas.RunWorkflowID(name)+"/"),
		})
		if err != nil {
			return fmt.Errorf("look for the lists' runs of %q: %w", name, err)
		}
		if found.Count > 0 {
			return fmt.Errorf("%w of %q: %d lists are about to end; remove the export again in a moment", ErrUnderWay, name, found.Count)
		}
	}
	return nil
}

// startsIdle returns ErrUnderWay while a start of an export by a Refresh is about to begin a run.
// The schedule does not know of those; Temporal's list of workflows does, a moment late.
func (o *Session) startsIdle(ctx context.Context, export string) error {
	list, err := o.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.Namespace,
		Query: fmt.Sprintf("WorkflowType = %q AND ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH %q",
			schemas.WorkflowScheduledRun, schemas.ScheduledWorkflowID(export)+"-"),
	})
	if err != nil {
		return fmt.Errorf("look for the starts of %q: %w", export, err)
	}
	for _, e := range list.Executions {
		if name, ok := schemas.ExportOfScheduled(e.Execution.WorkflowId); !ok || name != export {
			continue
		}
		if ended, err := o.ends(ctx, export, e.Execution.WorkflowId); err != nil {
			return err
		} else if !ended {
			return underWay(export)
		}
	}
	return nil
}

// ends reports whether a scheduled start has ended. It waits up to endTime if the run
// that it started has ended or has not begun, because a schedule learns of that late.
func (o *Session) ends(ctx context.Context, export, workflowID string) (bool, error) {
	for until := time.Now().Add(endTime); ; {
		runs, err := o.runs(ctx, workflowID)
		if err != nil || !runs {
			return !runs, err
		}
		runs, err = o.runs(ctx, schemas.RunWorkflowID(export))
		if err != nil || runs || time.Now().After(until) {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// runs reports whether the newest execution of a workflow has not ended.
func (o *Session) runs(ctx context.Context, workflowID string) (bool, error) {
	e, err := o.execution(ctx, workflowID, "")
	return unended(e), err
}

func (o *Session) removeData(ctx context.Context, request schemas.RemoveInput) (schemas.RemoveAnswer, error) {
	var out schemas.RemoveAnswer
	name := request.Export.Name
	if o.Gate != nil {
		var err error
		if request, err = o.Gate.GrantRemoval(ctx, o.Who, request); err != nil {
			return out, err
		}
	}
	handle, err := o.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: schemas.RunWorkflowID(name), TaskQueue: schemas.TaskQueue, WorkflowRunTimeout: removeTime,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Remove export %q", name),
	}, schemas.WorkflowRemoveExport, request)
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	var app *temporal.ApplicationError
	var ended *temporal.WorkflowExecutionError
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &started):
		return out, underWay(name)
	case errors.As(err, &app):
		return out, access.No(app.Type(), "%s", app.Message())
	case errors.As(err, &ended):
		return out, fmt.Errorf("remove the data of %q: %w", name, err)
	}
	return out, fmt.Errorf("%w of %q: %w; remove it again in %s to see the result: starter remove %s",
		ErrUnderWay, name, errGoesOn, removeTime, schemas.ShellWord(name))
}
