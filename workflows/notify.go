package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// notifyTime is how long a webhook that does not answer is tried.
const notifyTime = 24 * time.Hour

// Notify tells one target of one event. It is a workflow of its own, so that no
// run waits for a webhook.
func Notify(ctx workflow.Context, in schemas.NotifyInput) error {
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, "Webhook"), notifyTime)
	return workflow.ExecuteActivity(ctx, schemas.ActivityNotify, in).Get(ctx, nil)
}

// notify has everybody told of an event who wants to know. It waits until Temporal
// has noted to do it, not until it is done.
func notify(ctx workflow.Context, targets []schemas.Notify, e schemas.Event) {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // cancelling it would cancel the telling
	info := workflow.GetInfo(ctx)
	for i, to := range targets {
		if !to.Wants(e.Event) {
			continue
		}
		in := schemas.NotifyInput{
			To: to, ID: fmt.Sprintf("%s-%d-%d", info.WorkflowExecution.RunID, info.GetCurrentHistoryLength(), i),
			Message: schemas.Message{Type: "run." + e.Event, Timestamp: workflow.Now(ctx), Data: e},
		}
		ctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:        "notify/" + in.ID,
			ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
			StaticSummary:     fmt.Sprintf("Tell that «%s» is %s", e.Export, e.Event),
		})
		if err := workflow.ExecuteChildWorkflow(ctx, schemas.WorkflowNotify, in).GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("nobody could be told of the run", "error", err)
		}
	}
}

// waits is the event of a run, or of a segment of it, that waits.
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

// ended is the event of a run that ended, done or failed. Whoever aborted or
// cancelled a run knows.
func ended(in schemas.RunInput, p schemas.RunProgress, err error) (e schemas.Event, ok bool) {
	e = schemas.Event{Event: p.State, Export: in.Export.Name, Connection: in.Export.Connection, RunID: p.RunID}
	switch p.State {
	case schemas.StateDone:
		e.Message = "every segment got through"
	case schemas.StateFailed:
		var kind schemas.ErrorType
		if kind, e.Message = explain(err); kind == schemas.ErrorGrant {
			return e, false // whom to tell may be made up, like all the rest
		}
	default:
		return e, false
	}
	if p.Result == nil {
		return e, true
	}
	for _, s := range p.Result.Segments {
		e.Segments = append(e.Segments, schemas.EventSegment{
			Segment: s.Segment, State: s.State, ListID: s.ListID, Read: s.Manifest.Read,
			Sent: s.Upload.Sent, Removed: s.Upload.Removed, Rejected: sum(s.Rejected), Error: s.Error,
		})
	}
	if p.Result.Report != "" {
		e.Commands = []string{fmt.Sprintf("starter report %s --open", p.RunID)}
	}
	return e, true
}
