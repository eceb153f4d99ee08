package host

import (
	"context"
	"math/rand/v2"
	"time"

	"iterable-segment-export/activities"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// sweepEvery is how often a worker sweeps the data root, on average.
const sweepEvery = 15 * time.Minute

// runs asks Temporal how runs stand.
type runs struct{ *operate.Operator }

func (r runs) Standing(ctx context.Context, run schemas.RunRef) (activities.RunState, bool, error) {
	s, err := r.Operator.RunState(ctx, run)
	switch {
	case err != nil || s.Lives:
		return activities.RunLives, true, err
	case s.Known:
		return activities.RunEnded, s.UnderWay, nil
	}
	return activities.RunUnknown, s.UnderWay, nil
}

// Sweeper deletes what dead runs have left, and what is old.
func (h *Host) Sweeper() *activities.Sweeper {
	return &activities.Sweeper{
		Activities: h.activities, Runs: runs{&operate.Operator{Client: h.o.Client, Namespace: h.o.Namespace}},
		Retention: h.o.Connections.Retention,
	}
}

// sweep sweeps again and again. Workers that are started together do not do it
// together.
func (h *Host) sweep(ctx context.Context) {
	s := h.Sweeper()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery/2 + rand.N(sweepEvery)):
		}
		done, err := s.Sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.o.Log.Warn("the data root could not be swept as a whole; it will be tried again", "error", err)
		}
		if done != (activities.Swept{}) {
			h.o.Log.Info("the data root was swept", "staged", done.Staged, "rejects", done.Rejects, "reports", done.Reports, "unfinished", done.Unfinished)
		}
	}
}
