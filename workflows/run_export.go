// Package workflows orchestrates runs. RunExport runs one export; it starts one
// ExportSegment for each of the export's segments. Read ExportSegment to follow a run from
// beginning to end. Everything here is deterministic: the side effects are activities,
// named in package schemas and implemented in package activities.
package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// runExport is the state of one RunExport execution.
type runExport struct {
	in       schemas.RunInput
	progress schemas.RunProgress
	waiter   *waiter
	tags     tags
}

// RunExport exports every segment of one export. A segment that fails does not stop the
// others; the run then ends with an error of type schemas.ErrorSegmentsFailed whose details
// are the RunResult.
func RunExport(ctx workflow.Context, in schemas.RunInput) (schemas.RunResult, error) {
	r := &runExport{in: in}
	if err := r.setup(ctx); err != nil {
		return schemas.RunResult{}, r.end(ctx, err)
	}
	return r.run(ctx)
}

func (r *runExport) setup(ctx workflow.Context) error {
	r.progress = schemas.RunProgress{
		Export:  r.in.Export.Name,
		RunID:   workflow.GetInfo(ctx).FirstRunID,
		Trigger: displayed(ctx, r.in.Trigger),
		State:   schemas.StateRunning,
	}
	var err error
	r.waiter, err = listen(ctx, r.in.Export.Connection, r.show)
	if err != nil {
		return err
	}
	r.waiter.unattended = r.in.Check || r.in.Export.Trial() != nil
	r.waiter.notify = func(ctx workflow.Context, w schemas.Waiting) {
		notify(ctx, r.in.Export.Notify, w.Type, waits(r.in.Export.Name, r.in.Export.Connection, r.progress.RunID, "", w))
	}
	r.waiter.record = func(a schemas.Answered) { r.progress.Answers = append(r.progress.Answers, a) }
	return workflow.SetQueryHandler(ctx, schemas.QueryProgress, func() (schemas.RunProgress, error) {
		p := r.progress
		p.Waiting = r.waiter.waiting
		if p.Waiting != nil {
			p.State = schemas.StateWaiting
		}
		return p, nil
	})
}

// displayed returns what started the run, for people. A run for news of its data has the
// input, and with it the grant, of one that a schedule starts; its memo says what it is.
func displayed(ctx workflow.Context, t schemas.Trigger) schemas.Trigger {
	var memo schemas.Trigger
	p, ok := workflow.GetInfo(ctx).Memo.GetFields()[schemas.MemoTrigger]
	if ok && converter.GetDefaultDataConverter().FromPayload(p, &memo) == nil && t.Kind == schemas.TriggerSchedule && memo.Kind == schemas.TriggerEvent {
		return memo
	}
	return t
}

func (r *runExport) run(ctx workflow.Context) (schemas.RunResult, error) {
	r.show(ctx)
	allowed, err := r.authorize(ctx)
	if err != nil {
		return schemas.RunResult{}, r.end(ctx, err)
	}
	r.tags.wanted = allowed.SearchAttributes
	forgotten, err := r.forgotten(ctx, allowed)
	if err != nil {
		return schemas.RunResult{}, r.end(ctx, err)
	}
	result := r.exportSegments(ctx, allowed, forgotten)
	if !r.in.Check {
		r.report(ctx, allowed, &result)
	}
	r.progress.Result = &result
	return result, r.end(ctx, unfinished(ctx, result))
}

// reportTime is the time limit for writing a run's report, which is optional, and for deleting the
// people of a trial.
const reportTime = 10 * time.Minute

// report writes the run's readable report. A cancelled run has one too. The run began when
// Temporal says so: a wait for consent belongs to its time.
func (r *runExport) report(ctx workflow.Context, allowed schemas.AuthorizeResult, result *schemas.RunResult) {
	in := schemas.RunReportInput{
		Export: r.in.Export, Trigger: r.in.Trigger, Connection: allowed.Connection, State: result.State(EndState(unfinished(ctx, *result))), StartedAt: workflow.GetInfo(ctx).WorkflowStartTime, Result: *result,
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, "Report"), reportTime)
	if err := workflow.ExecuteActivity(ctx, schemas.ActivityWriteRunReport, in).Get(ctx, &result.Report); err != nil {
		workflow.GetLogger(ctx).Error("report not written", "error", err)
	}
}

// endTrial deletes the people of a trial. Its segment has done so too, if it has begun. If it
// fails, the sweep deletes them.
func (r *runExport) endTrial(ctx workflow.Context) {
	t := r.in.Export.Trial()
	if t == nil || t.People == "" {
		return
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, "Delete the people of the trial"), reportTime)
	in := schemas.EndTrialInput{Connection: r.in.Export.Connection, Export: r.in.Export.Name, People: t.People}
	if err := workflow.ExecuteActivity(ctx, schemas.ActivityEndTrial, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("people of a trial not deleted", "error", err)
	}
}

// authorize asks a worker whether the export may use its connection.
func (r *runExport) authorize(ctx workflow.Context) (schemas.AuthorizeResult, error) {
	var out schemas.AuthorizeResult
	err := r.waiter.step(ctx, schemas.ActivityAuthorize, func(ctx workflow.Context) error {
		ctx = access(ctx, fmt.Sprintf("Connection %q", r.in.Export.Connection))
		in := schemas.AuthorizeInput{RunID: r.progress.RunID, Input: r.in}
		return workflow.ExecuteActivity(ctx, schemas.ActivityAuthorize, in).Get(ctx, &out)
	})
	return out, err
}

// forgotten fetches the profiles that the project has forgotten, so that no segment sends
// them.
func (r *runExport) forgotten(ctx workflow.Context, allowed schemas.AuthorizeResult) (out schemas.ForgottenResult, err error) {
	err = r.waiter.step(ctx, schemas.ActivityFetchForgotten, func(ctx workflow.Context) error {
		e := r.in.Export
		in := schemas.ForgottenInput{
			Run:        schemas.RunRef{Connection: e.Connection, Export: e.Name, RunID: r.progress.RunID, Deadline: schemas.Duration(e.Deadline.Or(defaultDeadline))},
			Connection: allowed.Connection,
		}
		ctx = connected(quick(ctx, "Profiles forgotten in Iterable"), allowed.Connection)
		return workflow.ExecuteActivity(ctx, schemas.ActivityFetchForgotten, in).Get(ctx, &out)
	})
	return out, err
}

// summary returns the title of a segment's run in the Temporal UI. It can't be changed
// later, so the number of a new list is only in the details.
func summary(s schemas.Segment, lists []int64, i int) string {
	list := "a new Iterable list"
	if i < len(lists) && lists[i] != 0 {
		list = fmt.Sprintf("Iterable list %d", lists[i])
	}
	return fmt.Sprintf("Export %q → %s", s.Name, list)
}

// exportSegments runs the segments concurrently and collects their reports.
func (r *runExport) exportSegments(ctx workflow.Context, allowed schemas.AuthorizeResult, forgotten schemas.ForgottenResult) schemas.RunResult {
	result := schemas.RunResult{
		Connection: r.in.Export.Connection, Export: r.in.Export.Name, RunID: r.progress.RunID, Answers: r.progress.Answers,
	}
	export := r.in.Export
	export.Segments = nil
	children := make([]running, len(r.in.Export.Segments))
	inputs := make([]schemas.SegmentInput, len(children))
	for i, segment := range r.in.Export.Segments {
		in := schemas.SegmentInput{
			Run: schemas.RunRef{
				Connection: export.Connection, Export: export.Name, RunID: r.progress.RunID, Segment: segment.Name, Deadline: schemas.Duration(export.Deadline.Or(defaultDeadline)),
			},
			Export:           export,
			Segment:          segment,
			Connection:       allowed.Connection,
			Full:             r.in.Full,
			Check:            r.in.Check,
			Scheduled:        r.in.Trigger.Kind == schemas.TriggerSchedule || r.in.Trigger.Kind == schemas.TriggerEvent,
			AwaitData:        r.in.AwaitData,
			SearchAttributes: allowed.SearchAttributes,
		}
		if forgotten.Warning != "" {
			in.Warnings = []string{forgotten.Warning}
		}
		title := summary(segment, allowed.Lists, i)
		if segment.Divided() {
			title = fmt.Sprintf("Divide %q into its lists", segment.Name)
		}
		inputs[i], children[i] = in, r.start(ctx, in, title)
	}
	r.show(ctx)
	reports := make([][]schemas.ExportReport, len(children))
	all := workflow.NewWaitGroup(ctx)
	for i, child := range children {
		if inputs[i].Segment.Divided() {
			all.Add(1)
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer all.Done()
				reports[i] = r.exportLists(ctx, inputs[i], child)
			})
		}
	}
	for i, child := range children {
		if !inputs[i].Segment.Divided() {
			reports[i] = []schemas.ExportReport{r.await(ctx, child)}
		}
	}
	all.Wait(ctx)
	result.Segments = slices.Concat(reports...)
	return result
}

// running is the run of one segment.
type running struct {
	workflow.ChildWorkflowFuture
	in schemas.SegmentInput
	at int // in the run's progress
}

// start starts the run of a segment, which has that title in the Temporal UI.
func (r *runExport) start(ctx workflow.Context, in schemas.SegmentInput, title string) running {
	id := schemas.SegmentWorkflowID(in.Run.Export, in.Segment.Name)
	if in.Check {
		id = schemas.CheckSegmentWorkflowID(in.Run.Export, in.Segment.Name)
	}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WaitForCancellation:   true,
		StaticSummary:         title,
	}), schemas.WorkflowExportSegment, in)
	r.progress.Segments = append(r.progress.Segments, schemas.SegmentProgress{
		Segment: in.Segment.Name, WorkflowID: id, State: schemas.StateRunning,
	})
	return running{child, in, len(r.progress.Segments) - 1}
}

// await returns the report of a segment's run, once it has ended.
func (r *runExport) await(ctx workflow.Context, child running) schemas.ExportReport {
	report := schemas.ExportReport{
		Connection: child.in.Export.Connection, Export: child.in.Export.Name, RunID: r.progress.RunID, Segment: child.in.Segment.Name, Of: child.in.Segment.Of,
	}
	if err := child.Get(ctx, &report); err != nil {
		report = failedReport(report, err)
	}
	r.progress.Segments[child.at].State = report.State
	r.show(ctx)
	return report
}

// failedReport returns the report of a segment whose workflow ended with err. It is in the
// error's details, if the workflow got far enough to have one.
func failedReport(report schemas.ExportReport, err error) schemas.ExportReport {
	report.State, report.Error = schemas.StateFailed, err.Error()
	var app *temporal.ApplicationError
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch {
	case temporal.IsCanceledError(err):
		var canceled *temporal.CanceledError
		var known schemas.ExportReport
		if errors.As(err, &canceled) && canceled.HasDetails() && canceled.Details(&known) == nil {
			report = known
		}
		report.State, report.Error = schemas.StateCancelled, "the run was cancelled"
	case errors.As(err, &started):
		report.Error = "another run of this segment is still in progress; cancel it, or wait for its end, and run the export again"
	case errors.As(err, &app):
		report.Error = app.Message()
		if app.HasDetails() {
			var known schemas.ExportReport
			if app.Details(&known) == nil {
				report = known
			}
		}
	}
	return report
}

// unfinished returns the error of a run in which not every segment was exported, or nil.
func unfinished(ctx workflow.Context, result schemas.RunResult) error {
	var failed []string
	all, aborted := 0, 0
	for _, s := range result.Segments {
		if s.Divided != nil && s.State == schemas.StateDone {
			continue // its lists count
		}
		all++
		if s.State != schemas.StateDone && s.State != schemas.StateSkipped {
			failed = append(failed, fmt.Sprintf("%q %s", s.Segment, s.State))
		}
		if s.State == schemas.StateAborted {
			aborted++
		}
	}
	switch {
	case ctx.Err() != nil:
		return temporal.NewCanceledError(result)
	case len(failed) == 0:
		return nil
	}
	kind := schemas.ErrorSegmentsFailed
	if aborted == all {
		kind = schemas.ErrorAborted
	}
	return temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("%d of %d segments were not exported: %s", len(failed), all, strings.Join(failed, ", ")),
		kind, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{result}})
}

// end records how the run ended and returns its error.
func (r *runExport) end(ctx workflow.Context, err error) error {
	r.endTrial(ctx)
	r.progress.State = EndState(err)
	if r.progress.Result != nil {
		r.progress.State = r.progress.Result.State(r.progress.State)
	}
	r.show(ctx)
	if kind, e, ok := ended(r.in, r.progress, err); ok && !r.in.Check {
		notify(ctx, r.in.Export.Notify, kind, e)
	}
	if errors.Is(err, errAborted) {
		return temporal.NewApplicationErrorWithOptions(err.Error(), schemas.ErrorAborted,
			temporal.ApplicationErrorOptions{NonRetryable: true})
	}
	return err
}
