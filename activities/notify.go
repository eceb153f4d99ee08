package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/notify"
	"iterable-segment-export/schemas"
)

// Notify tells one target of one event.
func (a *Activities) Notify(ctx context.Context, in schemas.NotifyInput) (err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.end(ctx, &err)
	err = a.Notifier.Send(ctx, in)
	var failed *notify.Error
	if errors.As(err, &failed) && failed.Final {
		a.Log.Error("nobody could be told of a run", "export", in.Message.Data.Export, "run", in.Message.Data.RunID, "error", failed)
		return temporal.NewNonRetryableApplicationError(failed.Error(), schemas.ErrorNotify, nil)
	}
	return err
}
