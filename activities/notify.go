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
	defer attempt.end(ctx, &err)
	if err := a.mayTell(ctx, in); err != nil {
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
	if !slices.ContainsFunc(r.Input.Export.Notify, func(to schemas.Notify) bool { return same(to, in.To) && to.Wants(e.Event) }) {
		return altered(run)
	}
	return nil
}
