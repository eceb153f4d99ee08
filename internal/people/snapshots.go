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

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// snapshots removes the person from the snapshot of every segment that no run is about to
// change.
func (f *forgetter) snapshots(ctx context.Context) error {
	versions := map[string][]int64{}
	err := f.Root.Walk(ctx, schemas.SnapshotsDir, func(o storage.Object) error {
		dir, base := path.Dir(o.Name), path.Base(o.Name)
		if v, ok := schemas.SnapshotVersion(base); ok && !f.busy[dir] {
			versions[dir] = append(versions[dir], v)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	for _, dir := range slices.Sorted(maps.Keys(versions)) {
		if err := f.snapshot(ctx, dir, slices.Sorted(slices.Values(versions[dir]))); err != nil {
			return err
		}
	}
	return nil
}

// snapshot removes the person from one snapshot, and then deletes the earlier versions, which an
// interruption may have left.
func (f *forgetter) snapshot(ctx context.Context, dir string, versions []int64) error {
	newest := versions[len(versions)-1]
	key := path.Join(dir, schemas.SnapshotName(newest))
	file, err := f.Root.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		f.skip(ctx, dir, "") // a run has just published a newer one
		return nil
	}
	var s *snapshot.Snapshot
	if err == nil {
		defer file.Close()
		s, err = snapshot.OpenAny(file, file.Size())
	}
	var members []snapshot.Member
	if err == nil {
		members, err = s.Scan(ctx, f.ids...)
	}
	if err != nil {
		return f.unreadable(ctx, key, err)
	}
	f.answer.Searched++
	if len(members) > 0 {
		if ok, err := f.publish(ctx, dir, newest, s, members); !ok || err != nil {
			return err
		}
		versions = append(versions, newest+1)
		h := s.Header()
		in := schemas.ForgottenIn{Kind: schemas.KindSnapshot, File: key, Connection: h.Connection, Export: h.Export, Segment: h.Segment, Rows: int64(len(members))}
		for _, m := range members {
			f.answer.Lists = append(f.answer.Lists, listOf(h, m))
			in.Others += f.others(m.Email, m.UserID)
		}
		f.answer.Files = append(f.answer.Files, in)
	}
	for _, v := range versions[:len(versions)-1] {
		if err := f.Root.DeletePrefix(ctx, path.Join(dir, schemas.SnapshotName(v))); err != nil {
			return fmt.Errorf("delete a snapshot with a forgotten person: %w", err)
		}
	}
	return nil
}

// publish writes the next version of a snapshot, without some of its members. ok is false if a
// run is about to change the snapshot.
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
	defer func() { err = cmp.Or(err, f.Root.DeletePrefix(context.WithoutCancel(ctx), marker)) }()
	pending, err := f.pending(ctx, dir)
	if pending != "" || err != nil {
		f.skip(ctx, dir, pending)
		return false, err
	}
	w, err := f.Root.CreateNew(ctx, path.Join(dir, schemas.SnapshotName(version+1)))
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
		f.skip(ctx, dir, "") // a run has begun
		return false, nil
	}
	switch err := w.Close(); {
	case errors.Is(err, storage.ErrExists):
		f.skip(ctx, dir, "")
		return false, nil
	case err != nil:
		return false, fmt.Errorf("publish the snapshot without a person: %w", err)
	}
	return true, nil
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
