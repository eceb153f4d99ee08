package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// View is the state of a run at one moment.
type View struct {
	Run     Run              `json:"run"`
	State   string           `json:"state"`
	Trigger schemas.Trigger  `json:"trigger"`
	Error   string           `json:"error,omitempty"`
	Waiting *schemas.Waiting `json:"waiting,omitempty"`
	// Retrying is a failing step of the run as a whole, nil if there is none.
	Retrying *Retrying     `json:"retrying,omitempty"`
	Segments []SegmentView `json:"segments"`
	// Answers are the waits of the run as a whole that were answered.
	Answers []schemas.Answered `json:"answers,omitempty"`
	// FinishedAt is zero until the run has ended.
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// MadeUp is when a refresh started the run that made up for a skipped start, or zero.
	MadeUp time.Time `json:"madeUp,omitzero"`
	// Report is the key of the HTML report in the data root, empty until it is written.
	Report string `json:"report,omitempty"`
}

// SegmentView is the state of one segment of a run.
type SegmentView struct {
	schemas.Progress
	WorkflowID string `json:"workflowId"`
	// Handled counts the profiles read (while staging) or acknowledged (while
	// uploading), including those of running activities. Total is how many there are, nil
	// if that is not known.
	Handled int64  `json:"handled"`
	Total   *int64 `json:"total,omitempty"`
	// Retrying is a failing step of the segment, nil if there is none.
	Retrying *Retrying `json:"retrying,omitempty"`
}

// Of returns the Total, -1 if it is not known.
func (s SegmentView) Of() int64 {
	if s.Total == nil {
		return -1
	}
	return *s.Total
}

// Wait is a wait of a run, or of a segment of it.
type Wait struct {
	schemas.Waiting
	Segment    string // empty if the whole run waits
	workflowID string
}

// Waits returns what a run waits for.
func (v View) Waits() (all []Wait) {
	if v.Waiting != nil {
		all = append(all, Wait{Waiting: *v.Waiting, workflowID: v.Run.WorkflowID})
	}
	for _, s := range v.Segments {
		if s.Waiting != nil {
			all = append(all, Wait{Waiting: *s.Waiting, Segment: s.Run.Segment, workflowID: s.WorkflowID})
		}
	}
	return all
}

// Ended reports whether the run has ended.
func (v View) Ended() bool {
	return v.State != schemas.StateRunning && v.State != schemas.StateWaiting && v.State != schemas.StateAwaitingData
}

// Look returns the state of a run.
func (o *Session) Look(ctx context.Context, run Run) (View, error) {
	v := View{Run: run}
	d, err := o.Client.DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
	if err != nil {
		if absent(err) {
			return v, fmt.Errorf("%w: %s", ErrNoRun, run.RunID)
		}
		return v, fmt.Errorf("describe the run of %q: %w", run.Export, err)
	}
	info := d.WorkflowExecutionInfo
	v.StartedAt = info.StartTime.AsTime()
	memo(info, schemas.MemoTrigger, &v.Trigger)
	if info.CloseTime != nil {
		v.FinishedAt = info.CloseTime.AsTime()
		return o.ended(ctx, v, info.Status)
	}
	var p schemas.RunProgress
	if err := o.query(ctx, run.WorkflowID, run.RunID, &p); err != nil {
		return v, fmt.Errorf("query the progress of the run of %q (is a worker running?): %w", run.Export, err)
	}
	v.State, v.Trigger, v.Waiting, v.Answers = p.State, p.Trigger, p.Waiting, p.Answers
	v.Retrying = retrying(d.PendingActivities, time.Now())
	if v.Ended() {
		// It ended between the two calls; only its result says how.
		_ = o.Client.GetWorkflow(ctx, run.WorkflowID, run.RunID).Get(ctx, nil)
		if ctx.Err() != nil {
			return v, ctx.Err()
		}
		return o.Look(ctx, run)
	}
	has := map[string]bool{}
	for _, s := range p.Segments {
		sv := o.lookSegment(ctx, run, p.RunID, s)
		has[sv.State] = true
		v.Segments = append(v.Segments, sv)
	}
	switch {
	case has[schemas.StateWaiting]:
		v.State = schemas.StateWaiting
	case has[schemas.StateAwaitingData] && !has[schemas.StateRunning] && v.State == schemas.StateRunning:
		v.State = schemas.StateAwaitingData
	}
	return v, nil
}

// lookSegment returns the state of one segment. If its workflow can't be queried, the
// state is the one that its parent knows. id is the run ID that the run knows itself
// by: a run that was reset in Temporal keeps its first one.
func (o *Session) lookSegment(ctx context.Context, run Run, id string, s schemas.SegmentProgress) SegmentView {
	sv := SegmentView{WorkflowID: s.WorkflowID}
	sv.Run = schemas.RunRef{Export: run.Export, RunID: id, Segment: s.Segment}
	sv.State, sv.Report.Segment, sv.Report.State = s.State, s.Segment, s.State
	var p schemas.Progress
	if err := o.query(ctx, s.WorkflowID, "", &p); err != nil || p.Run.RunID != id {
		return sv
	}
	for range mostLooks {
		if s.State != schemas.StateRunning {
			p.State = s.State
		}
		sv.Progress = p
		sv.Handled, sv.Total = counted(p)
		if p.State != schemas.StateRunning && p.State != schemas.StateAwaitingData {
			break
		}
		sent := p.Report.Upload.Acknowledged()
		o.addLive(ctx, &sv)
		if p.Step != schemas.ActivityUploadBatches {
			break
		}
		p = schemas.Progress{}
		if err := o.query(ctx, s.WorkflowID, "", &p); err != nil || p.Run.RunID != id || p.Report.Upload.Acknowledged() == sent {
			break // no activity has ended between the two calls
		}
	}
	return sv
}

// mostLooks is how often a segment is looked at until its counts are those of one moment: those
// of activities that have ended are in its progress, those of others in their heartbeats.
const mostLooks = 3

// counted returns the progress of the activities that have completed.
func counted(p schemas.Progress) (handled int64, total *int64) {
	m, u := p.Report.Manifest, p.Report.Upload
	switch p.Step {
	case schemas.ActivityStageSegment, schemas.ActivityDivideSegment:
		if rows := p.Report.Info.Rows; rows >= 0 {
			total = &rows
		}
	case schemas.ActivityUploadBatches, schemas.ActivityCommitSnapshot:
		handled = u.Acknowledged()
		send := m.ToSend()
		total = &send
	}
	return handled, total
}

// addLive adds the progress in the heartbeats of running activities, and which one fails.
func (o *Session) addLive(ctx context.Context, sv *SegmentView) {
	d, err := o.Client.DescribeWorkflowExecution(ctx, sv.WorkflowID, "")
	if err != nil {
		return
	}
	sv.Retrying = retrying(d.PendingActivities, time.Now())
	for _, a := range d.PendingActivities {
		switch a.ActivityType.GetName() {
		case schemas.ActivityStageSegment, schemas.ActivityDivideSegment:
			var p schemas.StageProgress
			if decode(a.HeartbeatDetails, &p) {
				sv.Handled = p.Read
			}
		case schemas.ActivityUploadBatches:
			var p schemas.UploadProgress
			if decode(a.HeartbeatDetails, &p) {
				all := p.All()
				sv.Handled += all.Acknowledged()
				sv.Report.Upload.Add(all)
			}
		}
	}
}

func decode(p *commonpb.Payloads, out ...any) bool {
	return p != nil && converter.GetDefaultDataConverter().FromPayloads(p, out...) == nil
}

func (o *Session) query(ctx context.Context, workflowID, runID string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := o.Client.QueryWorkflow(ctx, workflowID, runID, schemas.QueryProgress)
	if err != nil {
		return err
	}
	return answer.Get(out)
}

// ended adds the result of a run that has ended.
func (o *Session) ended(ctx context.Context, v View, status enums.WorkflowExecutionStatus) (View, error) {
	var result schemas.RunResult
	err := o.Client.GetWorkflow(ctx, v.Run.WorkflowID, v.Run.RunID).Get(ctx, &result)
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	var failed *temporal.WorkflowExecutionError
	switch {
	case err == nil:
		v.State = schemas.StateDone
	case ctx.Err() != nil:
		return v, ctx.Err() // of this call, not of the run
	case !errors.As(err, &failed) && !errors.Is(err, converter.ErrUnableToDecode):
		// Of this call too: a deadline passes in gRPC before it does in ctx.
		return v, fmt.Errorf("read the result of the run of %q: %w", v.Run.Export, err)
	case status == enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		v.State, v.Error = schemas.StateCancelled, "the run was cancelled"
		if errors.As(err, &canceled) && canceled.HasDetails() {
			_ = canceled.Details(&result) // without details the state has to do
		}
	case status == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		v.State, v.Error = schemas.StateFailed, "the run was terminated in Temporal"
	case errors.As(err, &app):
		v.State, v.Error = schemas.StateFailed, app.Message()
		if app.Type() == schemas.ErrorAborted {
			v.State = schemas.StateAborted
		}
		if app.HasDetails() {
			_ = app.Details(&result) // without details the message has to do
		}
	default:
		v.State, v.Error = schemas.StateFailed, err.Error()
	}
	v.State, v.Report, v.Answers = result.State(v.State), result.Report, result.Answers
	segmentID := schemas.SegmentWorkflowID
	if v.Run.WorkflowID == schemas.CheckWorkflowID(v.Run.Export) {
		segmentID = schemas.CheckSegmentWorkflowID
	}
	for _, r := range result.Segments {
		sv := SegmentView{WorkflowID: segmentID(v.Run.Export, r.Segment)}
		sv.Run = schemas.RunRef{Connection: r.Connection, Export: v.Run.Export, RunID: v.Run.RunID, Segment: r.Segment}
		sv.State, sv.Report = r.State, r
		total := r.Manifest.ToSend()
		sv.Handled, sv.Total = r.Upload.Acknowledged(), &total
		v.Segments = append(v.Segments, sv)
	}
	return v, nil
}

// Watch calls see with the state of a run at every interval, until the run has ended,
// until it waits and stopAtWait is set, or until ctx ends. It returns the last view. A
// call that fails is repeated, since a run outlives restarts of workers and of Temporal;
// see then gets the problem.
func (o *Session) Watch(ctx context.Context, run Run, every time.Duration, stopAtWait bool, see func(v View, problem error)) (View, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := View{Run: run}
	for {
		v, err := o.Look(ctx, run)
		if err == nil {
			last = v
		}
		if see != nil {
			see(last, err)
		}
		switch {
		case errors.Is(err, ErrNoRun):
			return last, err
		case err == nil && (v.Ended() || stopAtWait && stuck(v)):
			return v, nil
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-tick.C:
		}
	}
}

// NoRun reports whether v is a scheduled start that was skipped, and not a run.
func (v View) NoRun() bool {
	_, scheduled := schemas.ExportOfScheduled(v.Run.WorkflowID)
	return scheduled
}

// LookAtRun looks at the newest run of an export. An export without runs counts as one whose run has
// ended.
func (o *Session) LookAtRun(ctx context.Context, export string) (schemas.RunLook, error) {
	run, err := o.Find(ctx, export)
	if errors.Is(err, ErrNoRun) { // the export was removed
		return schemas.RunLook{Ended: true}, nil
	}
	if err != nil {
		return schemas.RunLook{}, err
	}
	v, err := o.Look(ctx, run)
	if err != nil {
		return schemas.RunLook{}, err
	}
	in, err := o.Input(ctx, run)
	out := schemas.RunLook{RunID: run.RunID, State: v.State, StartedAt: v.StartedAt, Ended: v.Ended(), Alone: in.Trigger.Kind != schemas.TriggerSchedule}
	switch {
	case v.State == schemas.StateWaiting && !stuck(v):
		out.State = schemas.StateRunning
	case v.State == schemas.StateDone && slices.ContainsFunc(v.Segments, func(s SegmentView) bool { return s.State == schemas.StateSkipped }):
		out.State = schemas.StateSkipped
	}
	return out, err
}

// stuck reports whether a run waits and no segment of it makes progress.
func stuck(v View) bool {
	if v.Waiting != nil {
		return true
	}
	for _, s := range v.Segments {
		if s.State == schemas.StateRunning || s.State == schemas.StateAwaitingData {
			return false
		}
	}
	return v.State == schemas.StateWaiting
}
