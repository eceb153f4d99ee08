package host

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// findLateEvery is how often late runs are looked for.
const findLateEvery = 5 * time.Minute

// findLateRuns looks for late runs once, measures them, and writes the overview of all exports,
// which shows runs that began to wait.
func (h *Host) findLateRuns(ctx context.Context, before schemas.LateRuns) (schemas.LateRuns, error) {
	o := &operate.Session{Client: h.o.Client, Namespace: h.o.Namespace}
	out, err := o.FindLate(ctx, before, time.Now(), func(export string) { activity.RecordHeartbeat(ctx, export) })
	if err != nil {
		return out, err
	}
	h.o.Metrics.Late(out, 2*findLateEvery)
	if err := o.DeleteOutlooks(ctx, time.Now()); err != nil {
		h.o.Log.Warn("schedules that computed starts not deleted", "error", err)
	}
	h.activities.WriteOverview(ctx)
	return out, nil
}

// scheduleFindLate creates the schedule of FindLateRuns, unless it exists. All workers share it.
func scheduleFindLate(ctx context.Context, c client.Client) error {
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:            schemas.LateRunsID,
		Spec:          client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: findLateEvery}}},
		CatchupWindow: findLateEvery, // one look finds everything
		Action: &client.ScheduleWorkflowAction{
			ID: schemas.LateRunsID, Workflow: schemas.WorkflowFindLateRuns, TaskQueue: schemas.TaskQueue, StaticSummary: "Find late runs",
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil
	}
	return err
}

// readRefresh returns which exports a refresh runs.
func (h *Host) readRefresh(ctx context.Context, in schemas.RefreshRequest) (schemas.RefreshPlan, error) {
	o := &operate.Session{Client: h.o.Client, Namespace: h.o.Namespace}
	return o.ReadRefresh(ctx, in, func(export string) { activity.RecordHeartbeat(ctx, export) })
}
