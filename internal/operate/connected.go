package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/schemas"
)

// NoteNoConnection begins the note of a schedule that is paused since its export's
// connection was disconnected.
const NoteNoConnection = "No connection"

// Connected is an export that has a schedule over a connection.
type Connected struct {
	Export     string `json:"export"`
	ScheduleID string `json:"scheduleId"`
	Paused     bool   `json:"paused,omitempty"`
	// Detached tells that it is paused since its connection was disconnected.
	Detached bool `json:"detached,omitempty"`
}

// Connected finds the exports that have a schedule, by their connections. What a
// schedule would run counts, and not what a memo says of it.
func (o *Operator) Connected(ctx context.Context) (map[string][]Connected, error) {
	schedules := o.Client.ScheduleClient()
	list, err := schedules.List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	found := map[string][]Connected{}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, fmt.Errorf("list the schedules: %w", err)
		}
		d, err := schedules.GetHandle(ctx, entry.ID).Describe(ctx)
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at the schedule %s: %w", entry.ID, err)
		}
		export, ok := scheduledExport(d)
		if !ok {
			continue // somebody else's schedule
		}
		c := Connected{Export: export.Name, ScheduleID: entry.ID}
		if state := d.Schedule.State; state != nil {
			c.Paused = state.Paused
			c.Detached = state.Paused && strings.HasPrefix(state.Note, NoteNoConnection)
		}
		found[export.Connection] = append(found[export.Connection], c)
	}
	for _, exports := range found {
		slices.SortFunc(exports, func(a, b Connected) int { return strings.Compare(a.Export, b.Export) })
	}
	return found, nil
}

// scheduledExport is the export that a schedule runs.
func scheduledExport(d *client.ScheduleDescription) (schemas.Export, bool) {
	action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok || len(action.Args) == 0 {
		return schemas.Export{}, false
	}
	payload, ok := action.Args[0].(*commonpb.Payload)
	var in struct {
		Export schemas.Export `json:"export"`
	}
	if !ok || converter.GetDefaultDataConverter().FromPayload(payload, &in) != nil {
		return schemas.Export{}, false
	}
	return in.Export, in.Export.Name != "" && in.Export.Connection != ""
}

// Detach pauses the schedules of exports whose connection was disconnected. They
// stay so until another connection is set.
func (o *Operator) Detach(ctx context.Context, consent schemas.ConsentRecord, exports []Connected) error {
	note := fmt.Sprintf("%s: «%s» was disconnected by %s on %s. Set another connection, and apply the export again.",
		NoteNoConnection, consent.Connection, consent.By, consent.At.UTC().Format(time.DateOnly))
	var all []error
	for _, e := range exports {
		err := o.Client.ScheduleClient().GetHandle(ctx, e.ScheduleID).Pause(ctx, client.SchedulePauseOptions{Note: note})
		if err != nil {
			all = append(all, fmt.Errorf("pause the schedule of «%s» (its runs send nothing all the same): %w", e.Export, err))
		}
	}
	return errors.Join(all...)
}
