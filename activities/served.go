package activities

import (
	"context"
	"fmt"

	"iterable-segment-export/schemas"
)

// Served says whether any worker serves a connection. Which ones do is Temporal's to
// know: the connections.yaml of this worker may not be that of another one.
func (a *Activities) Served(ctx context.Context, in schemas.ServedInput) (out schemas.ServedResult, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.end(ctx, &err)
	if out.Served, err = a.Polled(ctx, schemas.UploadTaskQueue(in.Connection)); err != nil || out.Served {
		return out, err
	}
	out.Why = fmt.Sprintf("no worker serves connection «%s»", in.Connection)
	if _, err := a.Connections.Get(in.Connection); err != nil {
		out.Why += ": " + err.Error()
	}
	out.Why += "; put it back into connections.yaml of the workers or start a worker that has it, then retry"
	return out, nil
}
