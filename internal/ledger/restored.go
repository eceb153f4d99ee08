package ledger

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// restoredFile is written to a snapshot's folder when a restored backup is noticed, and
// deleted when no member of the snapshot counts as certain any more.
const restoredFile = "restored.json"

// unsentFile holds the IDs of the last attempts at staging that ended before they sent
// anything, or sent to another list than the snapshot's, the newest last.
const unsentFile = "unsent.json"

// mostUnsent is how many attempts unsentFile names.
const mostUnsent = 1000

// restoredAgain is why all profiles are sent after a backup was restored.
const restoredAgain = "the snapshot is older than what was sent last: the data root was restored from a backup"

// restoredThen follows restoredAgain in a warning.
const restoredThen = "; all profiles are sent and none is removed: " +
	"members that left the segment since the backup may stay on the list until you remove them in Iterable"

// restored reports whether the snapshot is older than what was sent last. It remembers the
// answer until distrust is done. found are the markers in the snapshot's folder, own is the
// attempt's marker.
func (l *Ledger) restored(ctx context.Context, run schemas.RunRef, own string, found map[string]Pending) (bool, error) {
	var noticed Pending
	if ok, err := l.Root.ReadJSON(ctx, Key(run, restoredFile), &noticed); ok || err != nil {
		return ok, err
	}
	h, err := l.Header(ctx, run)
	if err != nil {
		return false, err
	}
	stale, err := l.declared(ctx, h, found)
	if err == nil && !stale {
		stale, err = l.behind(ctx, run, h, found)
	}
	if err != nil || !stale {
		return false, err
	}
	if h == nil && len(found) <= 1 {
		return false, nil // nothing to distrust: all profiles are sent, and none is removed
	}
	l.Log.Warn("data root older than last run", "export", run.Export, "segment", run.Segment, "run", run.RunID)
	return true, l.Root.WriteJSON(ctx, Key(run, restoredFile), Pending{RunID: run.RunID, Attempt: own})
}

// Restore returns the ID of the last restore that was declared, or "".
func (l *Ledger) Restore(ctx context.Context) (string, error) {
	var r dataroot.Restore
	_, err := l.Root.ReadJSON(ctx, dataroot.RestoreKey, &r)
	return r.ID, err
}

// declared reports whether a person has declared a restore that the snapshot does not know or,
// if there is none, that the attempts of the markers do not know.
func (l *Ledger) declared(ctx context.Context, h *snapshot.Header, found map[string]Pending) (bool, error) {
	id, err := l.Restore(ctx)
	if id == "" || err != nil {
		return false, err
	}
	if h != nil {
		return h.Restore != id, nil
	}
	for _, p := range found {
		if p.Restore != id {
			return true, nil
		}
	}
	return false, nil
}

// behind reports whether Temporal knows of a staging that the data root does not know of. h is
// the header of the newest snapshot, nil if there is none.
func (l *Ledger) behind(ctx context.Context, run schemas.RunRef, h *snapshot.Header, found map[string]Pending) (bool, error) {
	if l.LastStaged == nil {
		return false, nil
	}
	last, err := l.LastStaged(ctx, run)
	if err != nil || last == nil {
		return false, err
	}
	versions, err := l.snapshotVersions(ctx, run)
	if err != nil {
		return false, err
	}
	newest := int64(0)
	if len(versions) > 0 {
		newest = versions[len(versions)-1]
	}
	if h != nil && h.Base > 0 && h.Base <= last.Version && last.Version <= newest {
		newest = last.Version // what followed are not a run's
	}
	switch {
	case newest != last.Version:
		return newest < last.Version, nil
	case last.Sending && last.Committed:
		return true, nil
	case !last.Sending:
		return false, nil
	}
	// What was sent makes a new snapshot, unless the attempt has not ended in the data root,
	// or ended before it began to send, or its list is gone.
	for _, p := range found {
		if p.Attempt == last.Attempt {
			return last.Closed || last.Sent && !p.Sent, nil
		}
	}
	unsent, err := l.unsent(ctx, run)
	return !slices.Contains(unsent, last.Attempt), err
}

// distrust publishes a snapshot in which no member counts as certain. They are sent again
// while they are in the segment, and are not removed when they are not.
func (l *Ledger) distrust(ctx context.Context, run schemas.RunRef) error {
	versions, err := l.snapshotVersions(ctx, run)
	if err != nil {
		return err
	}
	if len(versions) > 0 {
		if err := l.distrustSnapshot(ctx, run, versions[len(versions)-1]); err != nil {
			return err
		}
	}
	return l.Root.DeletePrefix(ctx, Key(run, restoredFile))
}

func (l *Ledger) distrustSnapshot(ctx context.Context, run schemas.RunRef, version int64) error {
	h, err := l.headerOf(ctx, Key(run, dataroot.SnapshotName(version)))
	if h == nil || err != nil {
		return err // a damaged one is not used anyway
	}
	old, err := l.Open(ctx, run, *h)
	if err == nil {
		defer old.Close()
		err = old.Verify(ctx)
	}
	if lost(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the snapshot of a restored backup: %w", err)
	}
	next := *h
	next.Restored = true
	if next.Restore, err = l.Restore(ctx); err != nil {
		return err
	}
	update := snapshot.NewUpdate(l.TempDir, 0)
	defer update.Close()
	update.Distrust()
	return l.Publish(ctx, run, update, old, next)
}

// noteUnsent records that an attempt ended before it sent anything to the list.
func (l *Ledger) noteUnsent(ctx context.Context, run schemas.RunRef, p Pending) error {
	all, err := l.unsent(ctx, run)
	if err != nil || slices.Contains(all, p.Attempt) {
		return err
	}
	all = append(all, p.Attempt)
	return l.Root.WriteJSON(ctx, Key(run, unsentFile), all[max(0, len(all)-mostUnsent):])
}

// unsent returns the attempts that ended before they sent anything to the list.
func (l *Ledger) unsent(ctx context.Context, run schemas.RunRef) (attempts []string, err error) {
	_, err = l.Root.ReadJSON(ctx, Key(run, unsentFile), &attempts)
	return attempts, err
}

// restoredLater reports whether a check compares with a snapshot of a restored backup,
// which the next run will distrust.
func (l *Ledger) restoredLater(ctx context.Context, in schemas.StageInput) (bool, error) {
	var noticed Pending
	if ok, err := l.Root.ReadJSON(ctx, Key(in.Run, restoredFile), &noticed); ok || err != nil {
		return ok, err
	}
	h, err := l.Header(ctx, in.Run)
	if h == nil || err != nil {
		return false, err
	}
	if stale, err := l.declared(ctx, h, nil); stale || err != nil {
		return stale, err
	}
	found, err := l.Unfinished(ctx, in.Run)
	if err != nil {
		return false, err
	}
	return l.behind(ctx, in.Run, h, found)
}
