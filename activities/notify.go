package activities

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/notify"
	"iterable-segment-export/schemas"
)

// Notify sends one event to one target.
func (a *Activities) Notify(ctx context.Context, in schemas.NotifyInput) (err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.End(ctx, &err)
	switch {
	case in.Message.Data.Late != nil:
		in, err = a.lateRun(ctx, in)
	case in.Refused && a.Access.Required():
		in, err = a.refusedRun(ctx, in)
	default:
		err = a.mayTell(ctx, in)
	}
	if err != nil {
		return err
	}
	err = a.Notifier.Send(ctx, in)
	var failed *notify.Error
	if errors.As(err, &failed) && failed.Final {
		a.Log.Error("notification rejected", "export", in.Message.Data.Export, "run", in.Message.Data.RunID, "error", failed)
		return temporal.NewNonRetryableApplicationError(failed.Error(), schemas.ErrorNotify, nil)
	}
	return err
}

// mayTell compares a message with the record of its run: a target that the run does not
// name gets no message.
func (a *Activities) mayTell(ctx context.Context, in schemas.NotifyInput) error {
	e := in.Message.Data
	run := schemas.RunRef{Connection: e.Connection, Export: e.Export, RunID: e.RunID, Segment: e.Segment}
	r, err := a.admitted(ctx, run, keeps)
	if err != nil || r == nil {
		return err
	}
	if !wants(r.Input.Export.Notify, in) {
		return altered(run)
	}
	return nil
}

// wants reports whether one of the targets is that of the message, and wants it.
func wants(all []schemas.Notify, in schemas.NotifyInput) bool {
	return slices.ContainsFunc(all, func(to schemas.Notify) bool { return schemas.Equal(to, in.To) && to.Wants(in.Message.Data.Event) })
}

// refusedRun returns the message about a run that was not let in. The run has no record, and
// its input may be forged: the message goes to a target of the export as it was granted
// last, and holds no text of the run.
func (a *Activities) refusedRun(ctx context.Context, in schemas.NotifyInput) (schemas.NotifyInput, error) {
	e := in.Message.Data
	granted, err := a.Access.Targets(ctx, e.Connection, e.Export)
	if err != nil {
		return in, err
	}
	if e.Event == schemas.EventDone || !wants(granted, in) || !schemas.IsRunID(e.RunID) {
		return in, altered(schemas.RunRef{Export: e.Export})
	}
	in.Message.Type = "run." + e.Event
	in.Message.Data = schemas.Event{
		Event: e.Event, Export: e.Export, Connection: e.Connection, RunID: e.RunID,
		Message:  "the run was refused, and sent nothing: its grant is not valid, or the export's name belongs to another connection",
		Commands: []string{"starter status " + e.RunID, "starter doctor"},
	}
	return in, nil
}

// lateRun returns the message about a late run, which may have no record. Its input may be
// forged: the message goes to a target of the export as it was granted last, and holds only
// times.
func (a *Activities) lateRun(ctx context.Context, in schemas.NotifyInput) (schemas.NotifyInput, error) {
	e := in.Message.Data
	if a.Access.Required() {
		granted, err := a.Access.Targets(ctx, e.Connection, e.Export)
		if err != nil {
			return in, err
		}
		late := e.Event == schemas.EventOverdue || e.Event == schemas.EventSlow || e.Event == schemas.EventRecovered
		if !late || !wants(granted, in) || e.Late.RunID != "" && !schemas.IsRunID(e.Late.RunID) {
			return in, altered(schemas.RunRef{Export: e.Export})
		}
	}
	in.Message.Type = "run." + e.Event
	in.Message.Data = schemas.Event{
		Event: e.Event, Export: e.Export, Connection: e.Connection, RunID: e.Late.RunID, Late: e.Late,
		Message: e.Late.Message(e.Event), Commands: e.Late.Commands(e.Event, e.Export),
	}
	return in, nil
}
