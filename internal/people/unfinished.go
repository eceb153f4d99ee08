package people

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
)

// unfinished finds the runs that have not finished: they have staged files, or a marker beside
// the snapshot.
func (f *forgetter) unfinished(ctx context.Context) error {
	staged := map[string]*UnfinishedRun{}
	err := f.Root.Walk(ctx, dataroot.StagedFilesDir, func(o storage.Object) error {
		parts := strings.Split(o.Name, "/") // staging, connection, export, run, segment
		if len(parts) < 6 {
			return nil
		}
		dir := path.Join(parts[:5]...)
		if staged[dir] == nil {
			staged[dir] = &UnfinishedRun{}
			f.busy[path.Join(dataroot.SnapshotsDir, parts[1], parts[2], parts[4])] = true
			f.busy[path.Join(dataroot.ReportsDir, parts[1], parts[2], parts[3], parts[4])] = true
		}
		if len(parts) == 6 && parts[5] == ledger.OriginFile {
			_, err := f.Root.ReadJSON(ctx, o.Name, staged[dir])
			f.note(o.Name, err)
		}
		return nil
	})
	for dir, run := range staged {
		run.Folder = dir
		f.answer.Unfinished = append(f.answer.Unfinished, *run)
	}
	if err == nil {
		err = f.Root.Walk(ctx, dataroot.SnapshotsDir, func(o storage.Object) error {
			if dir := path.Dir(o.Name); isPending(o.Name) && !f.busy[dir] {
				f.skipMarked(ctx, dir, o.Name)
			}
			return nil
		})
	}
	if err == nil {
		err = f.trials(ctx)
	}
	if err != nil {
		return fmt.Errorf("list the runs that have not finished: %w", err)
	}
	return nil
}

// trials finds the trials that name the person and have not ended. Their files go at their end.
func (f *forgetter) trials(ctx context.Context) error {
	return f.Root.Walk(ctx, dataroot.TrialsDir, func(o storage.Object) error {
		if o.Name == dataroot.TrialSaltKey {
			return nil
		}
		var of struct {
			People []string `json:"people"`
		}
		if _, err := f.Root.ReadJSON(ctx, o.Name, &of); err != nil {
			return f.goOn(ctx, o.Name, err)
		}
		if slices.ContainsFunc(of.People, func(id string) bool { return f.means([]byte(id)) }) {
			f.answer.Unfinished = append(f.answer.Unfinished, UnfinishedRun{Folder: o.Name})
		}
		return nil
	})
}

// forgettingPrefix begins the names of the markers of this package. A run that finds one waits,
// as it does for another run's.
const forgettingPrefix = dataroot.PendingPrefix + "forget-"

// isPending reports whether a file is the marker of a run that has not finished.
func isPending(key string) bool {
	base := path.Base(key)
	return strings.HasPrefix(base, dataroot.PendingPrefix) && !strings.HasPrefix(base, forgettingPrefix)
}

// skipMarked notes that a run may still write to a snapshot's folder, by its marker.
func (f *forgetter) skipMarked(ctx context.Context, dir, marker string) {
	var run UnfinishedRun
	_, err := f.Root.ReadJSON(ctx, marker, &run)
	f.note(marker, err)
	run.Folder = dir
	f.skip(run)
}

// skip notes that a folder is not searched, since a run may still write to it.
func (f *forgetter) skip(run UnfinishedRun) {
	if f.busy[run.Folder] {
		return
	}
	f.busy[run.Folder] = true
	f.answer.Unfinished = append(f.answer.Unfinished, run)
}

// note logs why a run that has not finished is not named.
func (f *forgetter) note(key string, err error) {
	if err != nil && f.Log != nil {
		f.Log.Warn("unfinished run not named", "file", key, "error", err)
	}
}
