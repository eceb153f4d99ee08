package activities

import (
	"context"
	"testing"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestServed asks Temporal about the queue of the connection. Where no worker polls it, the answer
// says why, and what to do.
func TestServed(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.Served, activity.RegisterOptions{Name: schemas.ActivityServed})
	const todo = "; put it back into connections.yaml of the workers or start a worker that has it, then retry"
	for _, c := range []struct {
		connection string
		polled     bool
		want       schemas.ServedResult
	}{
		{"sandbox", true, schemas.ServedResult{Served: true}},
		{"sandbox", false, schemas.ServedResult{Why: `no worker serves connection "sandbox"` + todo}},
		{"removed", true, schemas.ServedResult{Served: true}}, // another worker has it
		{"removed", false, schemas.ServedResult{Why: `no worker serves connection "removed": there is no such connection` + todo}},
	} {
		b.Polled = func(_ context.Context, queue string) (bool, error) {
			return c.polled && queue == schemas.UploadTaskQueue(c.connection), nil
		}
		var got schemas.ServedResult
		v, err := b.env.ExecuteActivity(schemas.ActivityServed, schemas.ServedInput{Connection: c.connection})
		if err == nil {
			err = v.Get(&got)
		}
		if err != nil || got != c.want {
			t.Errorf("%q, polled %v: %+v, %v; want %+v", c.connection, c.polled, got, err, c.want)
		}
	}
}
