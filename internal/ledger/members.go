package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Members calls f with each member of the newest snapshot of a list, whichever list in Iterable it is
// of. If the snapshot is damaged, it returns after the readable part: a run of the list reports that.
func (l *Ledger) Members(ctx context.Context, run schemas.RunRef, f func(*snapshot.Member) error) error {
	versions, err := l.snapshotVersions(ctx, run)
	if err != nil || len(versions) == 0 {
		return err
	}
	name := Key(run, dataroot.SnapshotName(versions[len(versions)-1]))
	file, err := l.Root.Open(ctx, name)
	if err == nil {
		defer file.Close()
		var s *snapshot.Snapshot
		if s, err = snapshot.OpenAny(file, file.Size()); err == nil {
			err = s.Each(ctx, f)
		}
	}
	if lost(err) {
		l.Log.Warn("snapshot damaged; what it knows of suppressed profiles is lost", "export", run.Export, "segment", run.Segment)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the members of snapshot %s: %w", name, err)
	}
	return nil
}

// StagedToAdd calls f with each profile that runs of a list have staged to be added, of which no
// snapshot has the outcome.
func (l *Ledger) StagedToAdd(ctx context.Context, run schemas.RunRef, f func(*snapshot.Member) error) error {
	found, err := l.Unfinished(ctx, run)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		p := found[key]
		if p.RunID == "" {
			continue
		}
		run.RunID = p.RunID
		err := l.eachStaged(ctx, path.Join(dataroot.StagedDir(run, p.Attempt), dataroot.AddsFile), f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("read what an unfinished run has staged: %w", err)
		}
	}
	return nil
}
