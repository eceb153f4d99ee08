package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// pendingFile stands in the snapshot's folder while a run may have sent more
// than the snapshot knows of. It holds a pending.
const pendingFile = "pending.json"

// pending says which run's staged files hold who may be on which list.
type pending struct {
	Staging string `json:"staging"`
	ListID  int64  `json:"listId"`
}

// openedSnapshot is a snapshot with the file under it. Its Snapshot is nil where
// there is none to use.
type openedSnapshot struct {
	*snapshot.Snapshot
	file storage.File
}

func (o openedSnapshot) Close() {
	if o.file != nil {
		o.file.Close()
	}
}

// absorbed follows the run's id in the header of a snapshot that absorb made, so
// that it is not taken for the one that the run publishes at its end.
const absorbed = " (unfinished)"

func snapshotKey(run schemas.RunRef, name string) string {
	return path.Join(schemas.SnapshotDir(run.Export, run.Segment), name)
}

func header(run schemas.RunRef, e schemas.Export, listID int64, projectType string) snapshot.Header {
	return snapshot.Header{
		Export: run.Export, Segment: run.Segment, Connection: e.Connection, ListID: listID,
		Mapping: snapshot.MappingFingerprint(e, projectType), RunID: run.RunID, CreatedAt: time.Now().UTC(),
	}
}

// snapshotHeader says whose snapshot a file of the data root is, nil where the file
// is damaged.
func (a *Activities) snapshotHeader(ctx context.Context, name string) (*snapshot.Header, error) {
	file, err := a.Root.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look whose snapshot %s is: %w", name, err)
	}
	defer file.Close()
	h, err := snapshot.ReadHeader(file, file.Size())
	if err != nil {
		return nil, nil
	}
	return &h, nil
}

// openSnapshot opens the snapshot that the segment is compared with. One that is
// missing, damaged or of another list is none, and the warning says so.
func (a *Activities) openSnapshot(ctx context.Context, in schemas.StageInput) (openedSnapshot, string, error) {
	if in.IgnoreSnapshot {
		return openedSnapshot{}, "the snapshot of the last run is damaged; everybody is sent and nobody is removed", nil
	}
	o, err := a.readSnapshot(ctx, in.Run, header(in.Run, in.Export, in.ListID, in.Connection.ProjectType))
	switch {
	case err == nil:
		return o, "", nil
	case errors.Is(err, fs.ErrNotExist):
		return openedSnapshot{}, noSnapshot(in), nil
	case in.ListID == 0 && errors.Is(err, snapshot.ErrListReplaced):
		return openedSnapshot{}, "the list of the last run is gone; everybody is sent to a new one", nil
	case lost(err):
		return openedSnapshot{}, err.Error() + "; everybody is sent and nobody is removed", nil
	}
	return openedSnapshot{}, "", fmt.Errorf("open the snapshot of the last run: %w", err)
}

// lost tells whether a snapshot is gone for good, and not only out of reach.
func lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrCorrupt) || errors.Is(err, storage.ErrDamaged) ||
		errors.Is(err, snapshot.ErrForeign) || errors.Is(err, snapshot.ErrListReplaced)
}

func (a *Activities) readSnapshot(ctx context.Context, run schemas.RunRef, expect snapshot.Header) (openedSnapshot, error) {
	file, err := a.Root.Open(ctx, snapshotKey(run, schemas.SnapshotFile))
	if err != nil {
		return openedSnapshot{}, err
	}
	s, err := snapshot.Open(file, file.Size(), expect)
	if err != nil {
		file.Close()
		return openedSnapshot{}, err
	}
	return openedSnapshot{s, file}, nil
}

// announce notes, before the first request, that the list may soon hold people
// whom the snapshot does not know.
func (a *Activities) announce(ctx context.Context, run schemas.RunRef, listID int64) error {
	marker, err := json.Marshal(pending{Staging: schemas.StagingDir(run), ListID: listID})
	if err != nil {
		return err
	}
	return a.Root.Write(ctx, snapshotKey(run, pendingFile), marker)
}

// absorb makes the snapshot know everybody whom a run that did not come to its
// end may have put on the list, so that a later run can take them off again.
// What is known about them is void: they are sent anew. A run on another list than
// listID is of no more use, and is forgotten; 0 is whichever list it was.
func (a *Activities) absorb(ctx context.Context, run schemas.RunRef, e schemas.Export, listID int64) error {
	marker, err := a.Root.Read(ctx, snapshotKey(run, pendingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil && !errors.Is(err, storage.ErrDamaged) {
		return fmt.Errorf("look for an unfinished run: %w", err)
	}
	var p pending
	if err := json.Unmarshal(marker, &p); err == nil && (listID == 0 || p.ListID == listID) {
		if err := a.absorbStaged(ctx, run, e, p); err != nil {
			return err
		}
	}
	return a.Root.DeletePrefix(ctx, snapshotKey(run, pendingFile))
}

func (a *Activities) absorbStaged(ctx context.Context, run schemas.RunRef, e schemas.Export, p pending) error {
	update, done, err := a.newUpdate(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = a.eachStaged(ctx, path.Join(p.Staging, schemas.AddsFile), func(m *snapshot.Member) error {
		m.Fields = 0
		return update.Put(m)
	})
	switch {
	case errors.Is(err, errDamaged):
		// What can be read of it is known now; the rest is lost, and so is the
		// certainty that all of them can be taken off again.
		a.Log.Warn("what an unfinished run has staged is damaged", "export", run.Export, "segment", run.Segment, "run", p.Staging)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read what an unfinished run has staged: %w", err)
	}
	h := header(run, e, p.ListID, "")
	h.Mapping = "" // of more than one mapping: everybody is sent anew
	h.RunID += absorbed
	old, err := a.readSnapshot(ctx, run, h)
	if err == nil {
		defer old.Close()
		err = old.Verify(ctx) // the merge can't begin again without it
	}
	switch {
	case err == nil:
		h.Profiles = old.Header().Profiles
	case lost(err):
		old.Snapshot = nil
	default:
		// Without it everybody whom it knows would stay on the list for good.
		return fmt.Errorf("open the snapshot of the last run: %w", err)
	}
	return a.publish(ctx, run, update, old.Snapshot, h)
}

// publish writes the next snapshot in place of the old one.
func (a *Activities) publish(ctx context.Context, run schemas.RunRef, u *snapshot.Update, old *snapshot.Snapshot, h snapshot.Header) error {
	w, err := a.Root.Create(ctx, snapshotKey(run, schemas.SnapshotFile))
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	defer w.Abort()
	if _, err := u.Publish(ctx, old, h, w); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("publish the snapshot: %w", err)
	}
	return nil
}

// newUpdate starts an update of a snapshot, with a folder for what does not fit
// into memory.
func (a *Activities) newUpdate(ctx context.Context) (*snapshot.Update, func(), error) {
	files, remove, err := a.tempFiles()
	if err != nil {
		return nil, nil, err
	}
	u := snapshot.NewUpdate(files, 0)
	return u, func() { _ = u.Close(); remove() }, nil
}

// eachStaged calls f with everybody in a staged file.
func (a *Activities) eachStaged(ctx context.Context, key string, f func(*snapshot.Member) error) error {
	staged, err := a.openStaged(ctx, key)
	if err != nil {
		return err
	}
	defer staged.close()
	for k := range staged.Batches() {
		b, err := staged.batch(k)
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
