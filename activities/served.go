package activities

import (
	"context"
	"fmt"

	"iterable-segment-export/schemas"
)

// Served reports whether any worker serves a connection. It asks Temporal: the
// connections.yaml of this worker may differ from that of others.
func (a *Activities) Served(ctx context.Context, in schemas.ServedInput) (out schemas.ServedResult, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.End(ctx, &err)
	if out.Served, err = a.Polled(ctx, schemas.UploadTaskQueue(in.Connection)); err != nil || out.Served {
		return out, err
	}
	out.Why = fmt.Sprintf("no worker serves connection %q", in.Connection)
	if _, err := a.Connections.Get(in.Connection); err != nil {
		out.Why += ": " + err.Error()
	}
	out.Why += "; put it back into connections.yaml of the workers or start a worker that has it, then retry"
	return out, nil
}
