package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// notifyTime is how long a webhook that does not answer is retried.
const notifyTime = 24 * time.Hour

// Notify sends one event to one target. It is a workflow of its own, so that no run waits
// for a webhook.
func Notify(ctx workflow.Context, in schemas.NotifyInput) error {
	ctx = workflow.WithTaskQueue(workflow.WithScheduleToCloseTimeout(quick(ctx, "Webhook"), notifyTime), schemas.NotifyTaskQueue)
	return workflow.ExecuteActivity(ctx, schemas.ActivityNotify, in).Get(ctx, nil)
}

// notify starts a Notify workflow for each target that wants the event of a run that failed
// or waits with an error of type kind. It returns once Temporal has recorded the start, not
// once the message is delivered.
func notify(ctx workflow.Context, targets []schemas.Notify, kind schemas.ErrorType, e schemas.Event) {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancelled run still notifies
	info := workflow.GetInfo(ctx)
	for i, to := range targets {
		if !to.Wants(e.Event) {
			continue
		}
		in := schemas.NotifyInput{
			To: to, ID: fmt.Sprintf("%s-%d-%d", info.WorkflowExecution.RunID, info.GetCurrentHistoryLength(), i),
			Refused: kind == schemas.ErrorGrant || kind == schemas.ErrorNameTaken,
			Message: schemas.Message{Type: "run." + e.Event, Timestamp: workflow.Now(ctx), Data: e},
		}
		ctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:        "notify/" + in.ID,
			ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
			StaticSummary:     fmt.Sprintf("Export %q is %s", e.Export, e.Event),
		})
		if err := workflow.ExecuteChildWorkflow(ctx, schemas.WorkflowNotify, in).GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("notification not started", "error", err)
		}
	}
}

// waits returns the event of a waiting run, or of a waiting segment of it.
func waits(export, connection, runID, segment string, w schemas.Waiting) schemas.Event {
	e := schemas.Event{
		Event: schemas.EventWaiting, Export: export, Connection: connection, RunID: runID, Segment: segment,
		Message: w.Message, Waiting: &w,
	}
	for _, answer := range w.Answers {
		e.Commands = append(e.Commands, w.Command("starter", export, answer))
	}
	return e
}

// ended returns the event of a run that is done or has failed. Aborted and cancelled runs
// have none: the person who ended them knows. kind is the type of the error.
func ended(in schemas.RunInput, p schemas.RunProgress, err error) (kind schemas.ErrorType, e schemas.Event, ok bool) {
	e = schemas.Event{Event: p.State, Export: in.Export.Name, Connection: in.Export.Connection, RunID: p.RunID}
	switch p.State {
	case schemas.StateDone:
		e.Message = "all segments are exported"
		if p.Result != nil && p.Result.Skipped() > 0 {
			e.Message = "the segments whose data was ready are exported; the others were skipped"
		}
	case schemas.StateFailed:
		kind, e.Message = explain(err)
	default:
		return kind, e, false
	}
	if p.Result == nil {
		return kind, e, true
	}
	for _, s := range p.Result.Segments {
		e.Segments = append(e.Segments, schemas.EventSegment{
			Segment: s.Segment, Of: s.Of, State: s.State, ListID: s.ListID, Read: s.Manifest.Read,
			Sent: s.Upload.Sent, Removed: s.Upload.Removed, Rejected: sum(s.Rejected), Error: s.Error,
		})
		if most := mostRefused(in.Export.Guardrails, s.Manifest, s.Upload); most != "" {
			e.Message += fmt.Sprintf("; Iterable refused %s, of segment %q", most, s.Segment)
		}
	}
	if p.Result.Report != "" {
		e.Commands = []string{fmt.Sprintf("starter report %s --open", p.RunID)}
	}
	return kind, e, true
}
