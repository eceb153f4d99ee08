package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Pending names the staged files that may have been sent, and the list.
type Pending struct {
	RunID   string `json:"runId"`
	Attempt string `json:"attempt"`
	ListID  int64  `json:"listId"`
	// Sent is set before the first request.
	Sent bool `json:"sent,omitempty"`
	// Execution is Temporal's run ID of the workflow execution that sends.
	Execution string `json:"execution,omitempty"`
	// Restore is the ID of the last restore that was declared before that.
	Restore string `json:"restore,omitempty"`
}

// pendingKey returns the key of the marker of one attempt's staged files.
func pendingKey(run schemas.RunRef, attempt string) string {
	return Key(run, MarkerFile(run.RunID, attempt))
}

// MarkerFile returns the name of the marker of one attempt's staged files.
func MarkerFile(runID, attempt string) string {
	return dataroot.PendingPrefix + dataroot.PathID(runID) + "-" + dataroot.PathID(attempt) + ".json"
}

// announce writes a marker, before anything is staged, that the list may soon have members
// that the snapshot does not know.
func (l *Ledger) announce(ctx context.Context, run schemas.RunRef, p Pending) error {
	p.RunID = run.RunID
	var err error
	if p.Restore, err = l.Restore(ctx); err != nil {
		return err
	}
	return l.Root.WriteJSON(ctx, pendingKey(run, p.Attempt), p)
}

// outlive waits, if a marker is of another workflow execution, until that one can have no
// effect: it may just have been terminated or reset in Temporal, and its attempts may
// continue for as long as their lease.
func outlive(ctx context.Context, info activity.Info, found ...Pending) error {
	if !slices.ContainsFunc(found, func(p Pending) bool { return p.Execution != info.WorkflowExecution.RunID }) {
		return nil
	}
	select {
	case <-time.After(step.Lease(info)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TakeOver announces an attempt at staging, waits until all others have ended, and adds to
// the snapshot what they have sent. After a backup was restored, no member of the snapshot
// counts as certain.
func (l *Ledger) TakeOver(ctx context.Context, in schemas.StageInput, attempt string) error {
	mine := Pending{Attempt: attempt, ListID: in.ListID, Execution: activity.GetInfo(ctx).WorkflowExecution.RunID}
	if err := l.announce(ctx, in.Run, mine); err != nil {
		return err
	}
	found, err := l.Unfinished(ctx, in.Run)
	if err == nil {
		err = outlive(ctx, activity.GetInfo(ctx), slices.Collect(maps.Values(found))...)
	}
	if err != nil {
		return err
	}
	restored, err := l.restored(ctx, in.Run, attempt, found)
	if err == nil {
		err = l.Absorb(ctx, in.Run, in.Export, in.ListID, func(p Pending) bool { return p.Attempt != attempt })
	}
	if err == nil && restored {
		err = l.distrust(ctx, in.Run)
	}
	return err
}

// AnnounceSending announces that an attempt begins to send. It returns an error if another
// run has published a snapshot since this one was staged, which happens after a reset in
// Temporal.
func (l *Ledger) AnnounceSending(ctx context.Context, in schemas.UploadInput) error {
	versions, err := l.snapshotVersions(ctx, in.Run)
	if err != nil {
		return err
	}
	if newest := append([]int64{0}, versions...); newest[len(newest)-1] != in.SnapshotVersion {
		return step.NeedOperator(schemas.ErrorStaging, "another run has changed the list since this one compared the segment with it; retry starts over")
	}
	p := Pending{Attempt: in.Attempt, ListID: in.ListID, Sent: true, Execution: activity.GetInfo(ctx).WorkflowExecution.RunID}
	var before Pending
	found, err := l.Root.ReadJSON(ctx, pendingKey(in.Run, in.Attempt), &before)
	if found && err == nil {
		if before.Execution == p.Execution && before.Sent {
			return nil
		}
		err = outlive(ctx, activity.GetInfo(ctx), before)
	}
	if err != nil {
		return err
	}
	return l.announce(ctx, in.Run, p)
}

// Unfinished returns the markers of attempts with an outcome that no snapshot knows, by
// their keys.
func (l *Ledger) Unfinished(ctx context.Context, run schemas.RunRef) (map[string]Pending, error) {
	files, err := l.Root.List(ctx, dataroot.SnapshotDir(run.Connection, run.Export, run.Segment))
	if err != nil {
		return nil, fmt.Errorf("list unfinished runs: %w", err)
	}
	found := map[string]Pending{}
	for _, f := range files {
		if !strings.HasPrefix(path.Base(f.Name), dataroot.PendingPrefix) {
			continue
		}
		var p Pending
		data, err := l.Root.Read(ctx, f.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // another worker has just absorbed it
			continue
		case errors.Is(err, storage.ErrDamaged), err == nil && json.Unmarshal(data, &p) != nil:
			p = pendingOf(path.Base(f.Name))
		case err != nil:
			return nil, fmt.Errorf("list unfinished runs: %w", err)
		}
		found[f.Name] = p
	}
	return found, nil
}

// pendingOf returns the Pending of a damaged marker by its name: it may be of any list, and
// something may have been sent.
func pendingOf(name string) (p Pending) {
	id := strings.TrimSuffix(strings.TrimPrefix(name, dataroot.PendingPrefix), ".json")
	if cut := strings.LastIndexByte(id, '-'); cut >= 0 {
		p = Pending{RunID: id[:cut], Attempt: id[cut+1:], Sent: true}
	}
	return p
}

// Absorb adds to the snapshot what unfinished runs have done to the list, so that a later
// run sends again what may be missing, and can remove the members that they have added. It
// drops runs on another list than listID; 0 is any list. It looks only at the runs that
// match, if not nil, selects. It may be repeated.
func (l *Ledger) Absorb(ctx context.Context, run schemas.RunRef, e schemas.Export, listID int64, match func(Pending) bool) error {
	found, err := l.Unfinished(ctx, run)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		p := found[key]
		if match != nil && !match(p) {
			continue
		}
		dead := schemas.RunRef{Connection: run.Connection, Export: run.Export, RunID: p.RunID, Segment: run.Segment}
		switch {
		case p.RunID == "":
		case listID == 0 || p.ListID == 0 || p.ListID == listID:
			err = l.absorbStaged(ctx, dead, e, p, key)
		default:
			err = l.noteUnsent(ctx, dead, p)
		}
		if err != nil {
			return err
		}
		if err := l.Root.DeletePrefix(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// absorbStaged adds to the snapshot what the attempt of a marker has sent.
func (l *Ledger) absorbStaged(ctx context.Context, run schemas.RunRef, e schemas.Export, p Pending, marker string) error {
	if p.ListID == 0 { // there was no list yet, or its marker is damaged
		known, err := l.Header(ctx, run)
		if known == nil && err == nil && !p.Sent {
			return l.noteUnsent(ctx, run, p)
		}
		if known == nil || err != nil {
			return err
		}
		p.ListID = known.ListID
	}
	from, err := l.origin(ctx, run)
	if err != nil {
		return err
	}
	h := NewHeader(run, e, p.ListID, "")
	h.Mapping, h.Fields = from.Mapping, from.Fields
	h.RunID += snapshot.Unfinished
	old, opened := l.Open(ctx, run, h)
	defer func() { old.Close() }() // nothing where none could be opened, which is looked at below
	// If the marker is gone, another worker has added it to this snapshot or an earlier one, and what
	// runs have done since may not be undone. If it goes from now on, a snapshot follows this one, and
	// Publish fails.
	if marked, err := l.Root.Has(ctx, marker); !marked || err != nil {
		return err
	}
	update := snapshot.NewUpdate(l.TempDir, 0)
	defer update.Close()
	account, err := l.NewAccount(ctx, run, p.Attempt, update)
	damaged := errors.Is(err, ErrDamaged)
	switch {
	case damaged:
		account.unknown = true
	case err != nil:
		return err
	case len(account.Answers[schemas.Subscribe])+len(account.Answers[schemas.Unsubscribe]) > 0:
	case p.Sent:
		damaged = true // the answers are lost, and perhaps all staged files
	default:
		return l.noteUnsent(ctx, run, p)
	}
	err = account.add(ctx)
	if err == nil && len(account.Answers[schemas.Subscribe]) > 0 {
		if err = account.superseded(ctx, false); notStaged(err) {
			err = nil // the project is not hybrid
		}
	}
	damaged = damaged || errors.Is(err, ErrDamaged)
	if err != nil && !damaged && !notStaged(err) {
		return fmt.Errorf("read the staged files of an unfinished run: %w", err)
	}
	if damaged || err != nil {
		// The readable part is known now. The rest is lost, and with it the certainty about
		// the members' values.
		l.Log.Warn("staged files of unfinished run damaged", "export", run.Export, "segment", run.Segment, "run", run.RunID)
		update.Void()
	}
	keepIdentifiers(update, from.Project)
	if err = opened; err == nil {
		err = old.Verify(ctx) // the merge can't begin again without it
	}
	switch {
	case err == nil:
		// Most of it is as old as it was, and of the mapping that it had.
		before := old.Header()
		h.Profiles, h.FullAt, h.CreatedAt, h.Mapping, h.Fields = before.Profiles, before.FullAt, before.CreatedAt, before.Mapping, before.Fields
		h.Restored = before.Restored
	case lost(err):
		// The time of sending is unknown. Another export may have changed the list since.
		old.Snapshot, h.CreatedAt = nil, time.Time{}
	default:
		// Without it all members that it knows would stay on the list for good.
		return fmt.Errorf("open the snapshot of the last run: %w", err)
	}
	return l.Publish(ctx, run, update, old, h)
}
