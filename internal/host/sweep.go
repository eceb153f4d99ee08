package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sweep"
	"iterable-segment-export/schemas"
)

// sweepEvery is how often the data root is swept.
const sweepEvery = time.Hour

// runs asks Temporal for the state of runs.
type runs struct{ *operate.Session }

func (r runs) State(ctx context.Context, run schemas.RunRef) (sweep.State, bool, error) {
	s, err := r.Session.RunState(ctx, run)
	switch {
	case err != nil || s.Lives:
		return sweep.Lives, true, err
	case s.Known:
		return sweep.Ended, s.UnderWay, nil
	}
	return sweep.Unknown, s.UnderWay, nil
}

// lastStaged returns a function that asks Temporal for the newest staging of a segment.
func lastStaged(o Options) func(context.Context, schemas.RunRef) (*schemas.Staged, error) {
	s := &operate.Session{Client: o.Client, Namespace: cmp.Or(o.Namespace, client.DefaultNamespace)}
	return s.LastStaged
}

// state returns a function that asks Temporal for what the metrics show, until the context of the
// host ends.
func (h *Host) state(host context.Context) func(context.Context) (observe.State, error) {
	s := &operate.Session{Client: h.o.Client, Namespace: h.o.Namespace}
	return func(ctx context.Context) (out observe.State, err error) {
		if err := errors.Join(host.Err(), h.Failed()); err != nil {
			return out, err
		}
		if out.Waits, err = s.Waiting(ctx); err == nil {
			out.Looked, err = s.Looked(ctx)
		}
		return out, err
	}
}

// fatal notes that the worker of a task queue has stopped by itself.
func (h *Host) fatal(err error) {
	h.o.Log.Error("a task queue is not served any more; restart the worker", "error", err)
	err = fmt.Errorf("a task queue is not served any more: %w", err)
	h.failed.Store(&err)
}

// Failed returns why a task queue is not served any more, nil while all of them are.
func (h *Host) Failed() error {
	if err := h.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Sweeper returns the sweeper of the data root.
func (h *Host) Sweeper() *sweep.Sweeper { return h.activities.Sweeper() }

// scheduleSweep creates the schedule of the sweep, unless it exists. All workers share it.
func scheduleSweep(ctx context.Context, c client.Client) error {
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:   schemas.SweepID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: sweepEvery}}},
		Action: &client.ScheduleWorkflowAction{
			ID: schemas.SweepID, Workflow: schemas.WorkflowSweep, TaskQueue: schemas.TaskQueue, StaticSummary: "Sweep the data root",
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil
	}
	return err
}
