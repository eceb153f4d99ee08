package people

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
)

// allSnapshots removes the person from the snapshot of every segment that no run is about to
// change.
func (f *forgetter) allSnapshots(ctx context.Context) error {
	versions := map[string][]int64{}
	err := f.Root.Walk(ctx, dataroot.SnapshotsDir, func(o storage.Object) error {
		dir, base := path.Dir(o.Name), path.Base(o.Name)
		if v, ok := dataroot.SnapshotVersion(base); ok && !f.busy[dir] {
			versions[dir] = append(versions[dir], v)
		}
		return nil
	})
	if err := f.goOn(ctx, dataroot.SnapshotsDir, err); err != nil {
		return err
	}
	for _, dir := range slices.Sorted(maps.Keys(versions)) {
		all := slices.Sorted(slices.Values(versions[dir]))
		if f.snapshots[dir] == all[len(all)-1] {
			continue
		}
		if f.fresh++; f.last {
			f.skip(UnfinishedRun{Folder: dir})
			continue
		}
		if err := f.snapshot(ctx, dir, all); err != nil {
			return err
		}
	}
	return nil
}

// snapshot removes the person from one snapshot, and then deletes the earlier versions, which an
// interruption may have left.
func (f *forgetter) snapshot(ctx context.Context, dir string, versions []int64) error {
	newest := versions[len(versions)-1]
	key := path.Join(dir, dataroot.SnapshotName(newest))
	file, err := f.Root.Open(ctx, key)
	f.snapshots[dir] = newest
	var s *snapshot.Snapshot
	if err == nil {
		defer file.Close()
		s, err = snapshot.OpenAny(file, file.Size())
	}
	var members []snapshot.Member
	if err == nil {
		members, err = s.Scan(ctx, f.ids...)
	}
	if err == nil {
		f.isSearched(dir)
	}
	if err == nil && len(members) > 0 {
		published := f.preview
		if !f.preview {
			published, err = f.publish(ctx, dir, newest, s, members)
		}
		if published {
			f.removed(key, s.Header(), members)
			versions = append(versions, newest+1)
		}
		if published || err != nil { // which may be of the answer alone
			f.stillOn(s.Header(), members)
		} else {
			delete(f.snapshots, dir) // it has changed, so the next pass searches it
			return nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) { // a run has just published a newer one, which the next pass finds
		delete(f.snapshots, dir)
		return nil
	}
	if err := f.goOn(ctx, key, err); err != nil || f.preview || f.unreadable[key] {
		return err
	}
	for _, v := range versions[:len(versions)-1] {
		key := path.Join(dir, dataroot.SnapshotName(v))
		if err := f.goOn(ctx, key, f.Root.DeletePrefix(ctx, key)); err != nil {
			return err
		}
	}
	return nil
}

// removed notes the members that were removed from a snapshot.
func (f *forgetter) removed(key string, h snapshot.Header, members []snapshot.Member) {
	in := ForgottenIn{Kind: KindSnapshot, File: key, Connection: h.Connection, Export: h.Export, Segment: h.Segment, Rows: int64(len(members))}
	for _, m := range members {
		in.Others += f.others(m.Email, m.UserID)
	}
	f.answer.Files = append(f.answer.Files, in)
}

// stillOn notes the list that members of a snapshot are on.
func (f *forgetter) stillOn(h snapshot.Header, members []snapshot.Member) {
	for _, m := range members {
		f.answer.Lists = append(f.answer.Lists, listOf(h, m))
	}
}

// publish writes the next version of a snapshot, without some of its members. ok is false if the
// snapshot has changed, or a run is about to change it.
//
// It announces itself by a marker and then looks for those of runs, and a run does the same: at
// least one of the two sees the other. A run waits for as long as an attempt of a run could have
// effects, and deletes the marker. If this takes longer, the run's own conditional writes find
// the new version.
func (f *forgetter) publish(ctx context.Context, dir string, version int64, s *snapshot.Snapshot, members []snapshot.Member) (ok bool, err error) {
	marker := path.Join(dir, forgettingPrefix+rand.Text()+".json")
	if err := f.Root.WriteJSON(ctx, marker, struct{}{}); err != nil {
		return false, fmt.Errorf("announce that a person is removed from a snapshot: %w", err)
	}
	defer func() { f.unmark(ctx, marker) }()
	pending, err := f.pending(ctx, dir)
	if pending != "" {
		f.skipMarked(ctx, dir, pending)
	}
	if pending != "" || err != nil {
		return false, err
	}
	w, err := f.Root.CreateNew(ctx, path.Join(dir, dataroot.SnapshotName(version+1)))
	if err != nil {
		return false, fmt.Errorf("write the snapshot without a person: %w", err)
	}
	defer w.Abort()
	update := snapshot.NewUpdate("", 0) // a few keys, which need no temporary file
	defer update.Close()
	for _, m := range members {
		if err := update.Forget(m.Key); err != nil {
			return false, err
		}
	}
	h := s.Header()
	h.Base = cmp.Or(h.Base, version)
	if _, err := update.Publish(ctx, s, h, w); err != nil {
		return false, fmt.Errorf("write the snapshot without a person: %w", err)
	}
	if _, err := f.Root.Read(ctx, marker); errors.Is(err, fs.ErrNotExist) {
		return false, nil // a run has begun
	}
	switch err := w.Close(); {
	case errors.Is(err, storage.ErrExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("publish the snapshot without a person: %w", err)
	}
	return true, nil
}

// unmark deletes the marker of publish, also when the context has ended. A run deletes one that
// is left.
func (f *forgetter) unmark(ctx context.Context, marker string) {
	if err := f.Root.DeletePrefix(context.WithoutCancel(ctx), marker); err != nil && f.Log != nil {
		f.Log.Warn("marker not deleted; the next run waits for a moment, and deletes it", "file", marker, "error", err)
	}
}

// pending returns the marker of a run that may change a snapshot, or "".
func (f *forgetter) pending(ctx context.Context, dir string) (marker string, err error) {
	err = f.Root.Walk(ctx, dir, func(o storage.Object) error {
		if isPending(o.Name) {
			marker = o.Name
		}
		return nil
	})
	return marker, err
}
