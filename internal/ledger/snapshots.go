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
}

// Opened is a snapshot and its file. Snapshot is nil if no snapshot can be used.
type Opened struct {
	*snapshot.Snapshot
	file    storage.File
	Version int64 // the newest one's number, also where it can't be used; 0 if there is none
}

// Close closes the file.
func (o Opened) Close() {
	if o.file != nil {
		o.file.Close()
	}
}

// Key returns the key of a file beside a segment's snapshot.
func Key(run schemas.RunRef, name string) string {
	return path.Join(schemas.SnapshotDir(run.Connection, run.Export, run.Segment), name)
}

// NewHeader returns the header of the snapshot of a run.
func NewHeader(run schemas.RunRef, e schemas.Export, listID int64, projectType string) snapshot.Header {
	return snapshot.Header{
		Export: run.Export, Segment: run.Segment, Connection: e.Connection, ListID: listID,
		Mapping: e.MappingFingerprint(projectType), RunID: run.RunID, CreatedAt: time.Now().UTC(),
	}
}

// Header returns the header of the newest snapshot of a segment, or nil if there is
// none or it is damaged.
func (a *Ledger) Header(ctx context.Context, run schemas.RunRef) (*snapshot.Header, error) {
	versions, err := a.snapshotVersions(ctx, run)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	return a.headerOf(ctx, Key(run, schemas.SnapshotName(versions[len(versions)-1])))
}

// headerOf returns the header of one snapshot, or nil if it is damaged.
func (a *Ledger) headerOf(ctx context.Context, name string) (*snapshot.Header, error) {
	file, err := a.Root.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the header of snapshot %s: %w", name, err)
	}
	defer file.Close()
	h, err := snapshot.ReadHeader(file, file.Size())
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the header of snapshot %s: %w", name, err)
	}
	return &h, nil
}

// snapshotVersions returns the numbers of a segment's snapshots, the newest last. Usually
// there is one.
func (a *Ledger) snapshotVersions(ctx context.Context, run schemas.RunRef) (versions []int64, err error) {
	files, err := a.Root.List(ctx, schemas.SnapshotDir(run.Connection, run.Export, run.Segment))
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of the segment: %w", err)
	}
	for _, f := range files { // in order, since the numbers have leading zeros
		if v, ok := schemas.SnapshotVersion(path.Base(f.Name)); ok {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// openSnapshot opens the snapshot that the segment is compared with. It returns none if that
// is missing, damaged or of another list, with a warning; again is why members are sent
// again then, or "" if there were none.
func (a *Ledger) openSnapshot(ctx context.Context, in schemas.StageInput) (o Opened, again, warning string, err error) {
	o, err = a.Open(ctx, in.Run, NewHeader(in.Run, in.Export, in.ListID, in.Connection.ProjectType))
	none := Opened{Version: o.Version}
	switch {
	case err == nil && !in.IgnoreSnapshot:
		return o, "", "", nil
	case err == nil:
		o.Close()
		again = "the snapshot of the last run is damaged"
	case errors.Is(err, fs.ErrNotExist):
		again, warning = noSnapshot(in)
		return none, again, warning, nil
	case in.ListID == 0 && errors.Is(err, snapshot.ErrListReplaced):
		again = "the list of the last run is gone"
		return none, again, again + "; all profiles are sent to a new list", nil
	case lost(err):
		again = err.Error()
	default:
		return none, "", "", fmt.Errorf("open the snapshot of the last run: %w", err)
	}
	return none, again, again + "; all profiles are sent and none is removed", nil
}

// lost reports whether a snapshot is unusable for good, and not only out of reach.
func lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrCorrupt) || errors.Is(err, storage.ErrDamaged) ||
		errors.Is(err, snapshot.ErrForeign) || errors.Is(err, snapshot.ErrListReplaced)
}

// Open opens the newest snapshot. If no snapshot exists, the error is
// fs.ErrNotExist. The version is always set.
func (a *Ledger) Open(ctx context.Context, run schemas.RunRef, expect snapshot.Header) (o Opened, err error) {
	var file storage.File
	for tries := 0; ; tries++ {
		versions, err := a.snapshotVersions(ctx, run)
		if err != nil {
			return o, err
		}
		if len(versions) == 0 {
			return o, fmt.Errorf("there is no snapshot: %w", fs.ErrNotExist)
		}
		o.Version = versions[len(versions)-1]
		file, err = a.Root.Open(ctx, Key(run, schemas.SnapshotName(o.Version)))
		if errors.Is(err, fs.ErrNotExist) && tries < 3 {
			continue // a newer one has just replaced it
		}
		if err != nil {
			return o, err
		}
		break
	}
	if o.Snapshot, err = snapshot.Open(file, file.Size(), expect); err != nil {
		file.Close()
		return o, err
	}
	o.file = file
	return o, nil
}

// pendingKey returns the key of the marker of one attempt's staged files.
func pendingKey(run schemas.RunRef, attempt string) string {
	return Key(run, schemas.PendingPrefix+run.RunID+"-"+attempt+".json")
}

// announce writes a marker, before anything is staged, that the list may soon have members
// that the snapshot does not know.
func (a *Ledger) announce(ctx context.Context, run schemas.RunRef, p Pending) error {
	p.RunID = run.RunID
	return a.Root.WriteJSON(ctx, pendingKey(run, p.Attempt), p)
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
func (a *Ledger) TakeOver(ctx context.Context, in schemas.StageInput, attempt string) error {
	mine := Pending{Attempt: attempt, ListID: in.ListID, Execution: activity.GetInfo(ctx).WorkflowExecution.RunID}
	if err := a.announce(ctx, in.Run, mine); err != nil {
		return err
	}
	found, err := a.Unfinished(ctx, in.Run)
	if err == nil {
		err = outlive(ctx, activity.GetInfo(ctx), slices.Collect(maps.Values(found))...)
	}
	if err != nil {
		return err
	}
	restored, err := a.restored(ctx, in.Run, attempt, found)
	if err == nil {
		err = a.Absorb(ctx, in.Run, in.Export, in.ListID, func(p Pending) bool { return p.Attempt != attempt })
	}
	if err == nil && restored {
		err = a.distrust(ctx, in.Run)
	}
	return err
}

// AnnounceSending announces that an attempt begins to send. It returns an error if another
// run has published a snapshot since this one was staged, which happens after a reset in
// Temporal.
func (a *Ledger) AnnounceSending(ctx context.Context, in schemas.UploadInput) error {
	versions, err := a.snapshotVersions(ctx, in.Run)
	if err != nil {
		return err
	}
	if newest := append([]int64{0}, versions...); newest[len(newest)-1] != in.SnapshotVersion {
		return step.NeedOperator(schemas.ErrorStaging, "another run has changed the list since this one compared the segment with it; retry starts over")
	}
	p := Pending{Attempt: in.Attempt, ListID: in.ListID, Sent: true, Execution: activity.GetInfo(ctx).WorkflowExecution.RunID}
	var before Pending
	found, err := a.Root.ReadJSON(ctx, pendingKey(in.Run, in.Attempt), &before)
	if found && err == nil {
		if before.Execution == p.Execution && before.Sent {
			return nil
		}
		err = outlive(ctx, activity.GetInfo(ctx), before)
	}
	if err != nil {
		return err
	}
	return a.announce(ctx, in.Run, p)
}

// Unfinished returns the markers of attempts with an outcome that no snapshot knows, by
// their keys.
func (a *Ledger) Unfinished(ctx context.Context, run schemas.RunRef) (map[string]Pending, error) {
	files, err := a.Root.List(ctx, schemas.SnapshotDir(run.Connection, run.Export, run.Segment))
	if err != nil {
		return nil, fmt.Errorf("list unfinished runs: %w", err)
	}
	found := map[string]Pending{}
	for _, f := range files {
		if !strings.HasPrefix(path.Base(f.Name), schemas.PendingPrefix) {
			continue
		}
		var p Pending
		data, err := a.Root.Read(ctx, f.Name)
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
	id := strings.TrimSuffix(strings.TrimPrefix(name, schemas.PendingPrefix), ".json")
	if cut := strings.LastIndexByte(id, '-'); cut >= 0 {
		p = Pending{RunID: id[:cut], Attempt: id[cut+1:], Sent: true}
	}
	return p
}

// Absorb adds to the snapshot what unfinished runs have done to the list, so that a later
// run sends again what may be missing, and can remove the members that they have added. It
// drops runs on another list than listID; 0 is any list. It looks only at the runs that
// match, if not nil, selects. It may be repeated.
func (a *Ledger) Absorb(ctx context.Context, run schemas.RunRef, e schemas.Export, listID int64, match func(Pending) bool) error {
	found, err := a.Unfinished(ctx, run)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		p := found[key]
		if match != nil && !match(p) {
			continue
		}
		dead := schemas.RunRef{Connection: run.Connection, Export: run.Export, RunID: p.RunID, Segment: run.Segment}
		if p.RunID != "" && (listID == 0 || p.ListID == 0 || p.ListID == listID) {
			if err := a.absorbStaged(ctx, dead, e, p); err != nil {
				return err
			}
		}
		if err := a.Root.DeletePrefix(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (a *Ledger) absorbStaged(ctx context.Context, run schemas.RunRef, e schemas.Export, p Pending) error {
	if p.ListID == 0 { // its marker is damaged
		known, err := a.Header(ctx, run)
		if known == nil || err != nil {
			return err
		}
		p.ListID = known.ListID
	}
	update := snapshot.NewUpdate(a.TempDir, 0)
	defer update.Close()
	account, err := a.NewAccount(ctx, run, p.Attempt, update)
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
		return a.noteUnsent(ctx, run, p)
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
		a.Log.Warn("staged files of unfinished run damaged", "export", run.Export, "segment", run.Segment, "run", run.RunID)
		update.Void()
	}
	from, err := a.origin(ctx, run)
	if err != nil {
		return err
	}
	keepIdentifiers(update, from.Project)
	h := NewHeader(run, e, p.ListID, "")
	h.Mapping, h.Fields = from.Mapping, from.Fields
	h.RunID += snapshot.Unfinished
	old, err := a.Open(ctx, run, h)
	if err == nil {
		defer old.Close()
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
	return a.Publish(ctx, run, update, old, h)
}

// Publish writes the snapshot that follows the old one, and deletes earlier ones. Its error
// is storage.ErrExists if another one has followed already.
func (a *Ledger) Publish(ctx context.Context, run schemas.RunRef, u *snapshot.Update, old Opened, h snapshot.Header) error {
	if old.Snapshot != nil && h.Restore == "" {
		h.Restore = old.Header().Restore
	} else if h.Restore == "" {
		var err error
		if h.Restore, err = a.restore(ctx); err != nil {
			return err
		}
	}
	h.Base = 0
	w, err := a.Root.CreateNew(ctx, Key(run, schemas.SnapshotName(old.Version+1)))
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	defer w.Abort()
	if _, err := u.Publish(ctx, old.Snapshot, h, w); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("publish the snapshot: %w", err)
	}
	return a.dropOldSnapshots(ctx, run)
}

// dropOldSnapshots deletes all snapshots but the newest.
func (a *Ledger) dropOldSnapshots(ctx context.Context, run schemas.RunRef) error {
	versions, err := a.snapshotVersions(ctx, run)
	if err != nil {
		return err
	}
	for _, v := range versions[:max(0, len(versions)-1)] {
		if err := a.Root.DeletePrefix(ctx, Key(run, schemas.SnapshotName(v))); err != nil {
			return fmt.Errorf("delete an older snapshot: %w", err)
		}
	}
	return nil
}

// eachStaged calls f with each profile of a staged file.
func (a *Ledger) eachStaged(ctx context.Context, key string, f func(*snapshot.Member) error) error {
	staged, err := a.OpenStaged(ctx, key)
	if err != nil {
		return err
	}
	defer staged.Close()
	for k := range staged.Batches() {
		b, err := staged.Batch(k)
		if err != nil {
			return err
		}
		for i := range b.Len() {
			m := snapshot.Member{Key: b.Key(i), Fields: b.Fields(i), Email: b.Email(i), UserID: b.UserID(i)}
			if err := f(&m); err != nil {
				b.Release()
				return err
			}
		}
		b.Release()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
