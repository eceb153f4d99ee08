package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

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
	return path.Join(dataroot.SnapshotDir(run.Connection, run.Export, run.Segment), name)
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
func (l *Ledger) Header(ctx context.Context, run schemas.RunRef) (*snapshot.Header, error) {
	versions, err := l.snapshotVersions(ctx, run)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	return l.headerOf(ctx, Key(run, dataroot.SnapshotName(versions[len(versions)-1])))
}

// headerOf returns the header of one snapshot, or nil if it is damaged.
func (l *Ledger) headerOf(ctx context.Context, name string) (*snapshot.Header, error) {
	file, err := l.Root.Open(ctx, name)
	if err != nil {
		return nil, err // it names the file
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
func (l *Ledger) snapshotVersions(ctx context.Context, run schemas.RunRef) (versions []int64, err error) {
	files, err := l.Root.List(ctx, dataroot.SnapshotDir(run.Connection, run.Export, run.Segment))
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of the segment: %w", err)
	}
	for _, f := range files { // in order, since the numbers have leading zeros
		if v, ok := dataroot.SnapshotVersion(path.Base(f.Name)); ok {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// openSnapshot opens the snapshot that the segment is compared with. It returns none if that
// is missing, damaged or of another list, with a warning; again is why members are sent
// again then, or "" if there were none.
func (l *Ledger) openSnapshot(ctx context.Context, in schemas.StageInput) (o Opened, again, warning string, err error) {
	o, err = l.Open(ctx, in.Run, NewHeader(in.Run, in.Export, in.ListID, in.Connection.ProjectType))
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
func (l *Ledger) Open(ctx context.Context, run schemas.RunRef, expect snapshot.Header) (o Opened, err error) {
	var file storage.File
	for tries := 0; ; tries++ {
		versions, err := l.snapshotVersions(ctx, run)
		if err != nil {
			return o, err
		}
		if len(versions) == 0 {
			return o, fmt.Errorf("there is no snapshot: %w", fs.ErrNotExist)
		}
		o.Version = versions[len(versions)-1]
		file, err = l.Root.Open(ctx, Key(run, dataroot.SnapshotName(o.Version)))
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

// Publish writes the snapshot that follows the old one, and deletes earlier ones. Its error
// is storage.ErrExists if another one has followed already.
func (l *Ledger) Publish(ctx context.Context, run schemas.RunRef, u *snapshot.Update, old Opened, h snapshot.Header) error {
	if old.Snapshot != nil && h.Restore == "" {
		h.Restore = old.Header().Restore
	} else if h.Restore == "" {
		var err error
		if h.Restore, err = l.Restore(ctx); err != nil {
			return err
		}
	}
	h.Base = 0
	w, err := l.Root.CreateNew(ctx, Key(run, dataroot.SnapshotName(old.Version+1)))
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
	return l.dropOldSnapshots(ctx, run)
}

// dropOldSnapshots deletes all snapshots but the newest.
func (l *Ledger) dropOldSnapshots(ctx context.Context, run schemas.RunRef) error {
	versions, err := l.snapshotVersions(ctx, run)
	if err != nil {
		return err
	}
	for _, v := range versions[:max(0, len(versions)-1)] {
		if err := l.Root.DeletePrefix(ctx, Key(run, dataroot.SnapshotName(v))); err != nil {
			return fmt.Errorf("delete an older snapshot: %w", err)
		}
	}
	return nil
}
