package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// removeTime bounds the removal of an export.
const removeTime = 10 * time.Minute

// errGoesOn says that a removal may not have ended when its end was no longer waited for.
var errGoesOn = errors.New("its removal goes on, and its schedule stays paused")

// endTime bounds the wait for the end of a scheduled start whose run has ended.
const endTime = 10 * time.Second

// Remove deletes an export: what is kept of its people, its lists if asked for, and
// its schedule. The schedule goes last, so that a removal that fails can be
// repeated. The error is ErrUnderWay while the export runs.
func (o *Operator) Remove(ctx context.Context, a Applied, deleteLists bool) (schemas.RemoveAnswer, error) {
	// Nothing is to start between the deletion of the data and that of the schedule.
	if !a.Paused {
		if err := o.Pause(ctx, a); err != nil {
			return schemas.RemoveAnswer{}, fmt.Errorf("pause the schedule of «%s»: %w", a.Export.Name, err)
		}
	}
	out, err := o.removeAlone(ctx, a, schemas.RemoveInput{Export: a.Export, DeleteLists: deleteLists})
	if err != nil {
		if !a.Paused && !errors.Is(err, errGoesOn) {
			err = errors.Join(err, o.Resume(context.WithoutCancel(ctx), a))
		}
		return out, err
	}
	handle := o.Client.ScheduleClient().GetHandle(ctx, a.ScheduleID)
	var gone *serviceerror.NotFound
	if err := handle.Delete(ctx); err != nil && !errors.As(err, &gone) {
		return out, fmt.Errorf("delete the schedule of «%s»: %w", a.Export.Name, err)
	}
	return out, nil
}

// Described is an export as its last run was told, as far as Temporal still has that.
func (o *Operator) Described(ctx context.Context, name string) schemas.Export {
	if run, err := o.Find(ctx, name); err == nil {
		if in, err := o.Input(ctx, run); err == nil && in.Export.Name == name {
			return in.Export
		}
	}
	return schemas.Export{Name: name}
}

// RemoveUnapplied deletes what is kept of an export that has no schedule: one that was
// only ever run as flags described it, or whose schedule is gone. The error is
// ErrNotApplied where nothing is kept.
func (o *Operator) RemoveUnapplied(ctx context.Context, export schemas.Export, deleteLists bool) (schemas.RemoveAnswer, error) {
	name := export.Name
	a := Applied{ScheduledInput: schemas.ScheduledInput{Export: export}, ScheduleID: schemas.ScheduleID(name)}
	out, err := o.removeAlone(ctx, a, schemas.RemoveInput{Export: export, DeleteLists: deleteLists})
	switch {
	case err != nil:
		return out, err
	case out.Files == 0 && len(out.Lists) == 0:
		return out, fmt.Errorf("%w: %q, and nothing is kept of one; starter exports lists what was applied", ErrNotApplied, name)
	}
	return out, nil
}

// removeAlone removes the data, unless somebody is about to write more of it: a
// check, or the schedule's last start, whose run has not begun.
func (o *Operator) removeAlone(ctx context.Context, a Applied, request schemas.RemoveInput) (schemas.RemoveAnswer, error) {
	var none schemas.RemoveAnswer
	checked, err := o.runs(ctx, schemas.CheckWorkflowID(a.Export.Name))
	switch {
	case err != nil:
		return none, fmt.Errorf("look for a check of «%s»: %w", a.Export.Name, err)
	case checked:
		return none, fmt.Errorf("%w of «%s», a check: wait for its end, and remove the export again", ErrUnderWay, a.Export.Name)
	}
	switch running, err := o.runs(ctx, schemas.RunWorkflowID(a.Export.Name)); {
	case err != nil:
		return none, fmt.Errorf("look for a run of «%s»: %w", a.Export.Name, err)
	case running:
		return none, underWay(a.Export.Name)
	}
	for _, segment := range a.Export.Segments { // one may outlive its run, and writes its report last
		closing, err := o.runs(ctx, schemas.SegmentWorkflowID(a.Export.Name, segment.Name))
		switch {
		case err != nil:
			return none, fmt.Errorf("look for segments of «%s»: %w", a.Export.Name, err)
		case closing:
			return none, fmt.Errorf("%w of «%s»: segment «%s» is about to end; remove the export again in a moment", ErrUnderWay, a.Export.Name, segment.Name)
		}
	}
	d, err := o.Client.ScheduleClient().GetHandle(ctx, a.ScheduleID).Describe(ctx)
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return o.removeData(ctx, request)
	case err != nil:
		return none, fmt.Errorf("look at the schedule of «%s»: %w", a.Export.Name, err)
	}
	for _, started := range d.Info.RunningWorkflows {
		switch ended, err := o.ends(ctx, a.Export.Name, started.WorkflowID); {
		case err != nil:
			return none, fmt.Errorf("look for a run of «%s»: %w", a.Export.Name, err)
		case !ended:
			return none, underWay(a.Export.Name)
		}
	}
	return o.removeData(ctx, request)
}

// ends says whether what a schedule has started has ended, and gives it endTime to do
// so if its run has ended or has not begun. (A schedule learns late that it has.)
func (o *Operator) ends(ctx context.Context, export, workflowID string) (bool, error) {
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

// runs says whether the newest run of a workflow has not ended.
func (o *Operator) runs(ctx context.Context, workflowID string) (bool, error) {
	d, err := o.Client.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return false, nil
	case err != nil:
		return false, err
	}
	return d.WorkflowExecutionInfo.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

func underWay(export string) error {
	return fmt.Errorf("%w of «%s»: wait for its end, or stop it with: starter cancel %s", ErrUnderWay, export, schemas.ShellWord(export))
}

func (o *Operator) removeData(ctx context.Context, request schemas.RemoveInput) (schemas.RemoveAnswer, error) {
	var out schemas.RemoveAnswer
	id := schemas.RunWorkflowID(request.Export.Name)
	if o.Gate != nil {
		var err error
		if request, err = o.Gate.GrantRemoval(ctx, o.Who, request); err != nil {
			return out, err
		}
	}
	handle, err := o.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: schemas.TaskQueue, WorkflowRunTimeout: removeTime,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Remove export «%s»", request.Export.Name),
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
		return out, underWay(request.Export.Name)
	case errors.As(err, &app):
		return out, access.No(app.Type(), "%s", app.Message())
	case errors.As(err, &ended):
		return out, fmt.Errorf("remove what is kept of «%s»: %w", request.Export.Name, err)
	}
	return out, fmt.Errorf("%w of «%s»: %w; remove it again in %s to see the end of it: starter remove %s",
		ErrUnderWay, request.Export.Name, errGoesOn, removeTime, schemas.ShellWord(request.Export.Name))
}
