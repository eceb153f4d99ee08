package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"iterable-segment-export/schemas"
)

// NoteNoConnection begins the note of a schedule that was paused when its export's
// connection was disconnected.
const NoteNoConnection = "No connection"

// notePausedBefore ends that note if the schedule was paused already. It then stays
// paused when another connection is set.
const notePausedBefore = "It was paused before."

// Connected is an export that has a schedule over a connection.
type Connected struct {
	Export     string `json:"export"`
	ScheduleID string `json:"scheduleId"`
	Paused     bool   `json:"paused,omitempty"`
	// Detached reports whether it is paused because its connection was disconnected.
	Detached bool `json:"detached,omitempty"`
}

// Connected returns the exports that have a schedule, by connection. It goes by what the
// schedule would run, not by its memo.
func (o *Session) Connected(ctx context.Context) (map[string][]Connected, error) {
	all, err := o.Applied(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string][]Connected{}
	for _, a := range all {
		c := Connected{Export: a.Export.Name, ScheduleID: a.ScheduleID, Paused: a.Paused, Detached: a.Detached}
		found[a.Export.Connection] = append(found[a.Export.Connection], c)
	}
	return found, nil
}

// detachedNote returns the note of a schedule after its connection was disconnected.
func detachedNote(consent schemas.ConsentRecord, paused bool) string {
	note := fmt.Sprintf("%s: %q was disconnected by %s on %s. Set another connection, and apply the export again.",
		NoteNoConnection, consent.Connection, consent.By, schemas.Day(consent.At))
	if paused {
		note += " " + notePausedBefore
	}
	return note
}

// forConnection reports whether a schedule with this note is paused only because of its
// connection, so that it resumes with another one.
func forConnection(note string) bool {
	return strings.HasPrefix(note, NoteNoConnection) && !strings.HasSuffix(note, notePausedBefore)
}

// Detach pauses the schedules of exports after their connection was disconnected, until
// another connection is set.
func (o *Session) Detach(ctx context.Context, consent schemas.ConsentRecord, exports []Connected) error {
	var all []error
	for _, e := range exports {
		note := detachedNote(consent, e.Paused)
		if err := o.pause(ctx, e.ScheduleID, note); err != nil {
			all = append(all, fmt.Errorf("pause the schedule of %q (its runs send nothing in any case): %w", e.Export, err))
		}
	}
	return errors.Join(all...)
}
