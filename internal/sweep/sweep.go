// Package sweep deletes from the data root what runs could not clean up themselves, and what is
// older than its retention.
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// State is what Temporal knows of a segment's run.
type State int

// The states.
const (
	// Lives: it may continue at any time.
	Lives State = iota
	// Ended: it has ended, in any state.
	Ended
	// Unknown: Temporal has no record of it.
	Unknown
)

// Runs looks up runs in Temporal.
type Runs interface {
	// State returns the state of a segment's run. underWay reports whether any run of the
	// export is in progress.
	State(ctx context.Context, run schemas.RunRef) (state State, underWay bool, err error)
}

// How old, by the last write, files must be before a sweep deletes them.
const (
	// afterEnd is longer than an activity survives its workflow: it notices at its next
	// heartbeat.
	afterEnd = 10 * time.Minute
	// afterLoss leaves time to notice that a worker is connected to the wrong Temporal.
	afterLoss = 24 * time.Hour
	// unsigned is for staged files with an origin that can't be read: longer than a run waits.
	unsigned = 60 * 24 * time.Hour
	// trialFor is for the people of a trial: longer than its steps are retried.
	trialFor = 48 * time.Hour
	// unsentFor is for what is known of a project. Learned limits do not count for longer.
	unsentFor = 7 * 24 * time.Hour
	// unfinishedFor is for partly written files.
	unfinishedFor = 24 * time.Hour
	// keptFor is for the hashes of suppression lists, which are read from their source again
	// then: those of lists and connections that are not used any more go too.
	keptFor = 30 * 24 * time.Hour
)

// Sweeper deletes what runs could not clean up themselves, and what is older than its
// retention. Several may run at the same time.
type Sweeper struct {
	Ledger    *ledger.Ledger
	Runs      Runs
	Retention func() schemas.Retention
	// Now returns the time by the storage's clock; nil asks the storage.
	Now func(context.Context) (time.Time, error)
}

// Sweep sweeps the data root once. A file that can't be deleted does not stop the sweep; the
// error has all of them.
func (s *Sweeper) Sweep(ctx context.Context) (done schemas.SweepResult, err error) {
	clock := s.Now
	if clock == nil {
		clock = s.clock
	}
	now, err := clock(ctx)
	if err != nil {
		return done, err
	}
	var errs []error
	errs = append(errs, s.staged(ctx, now, &done))
	errs = append(errs, s.snapshots(ctx, now, &done))
	errs = append(errs, s.reports(ctx, now, &done))
	errs = append(errs, s.suppressions(ctx, now))
	errs = append(errs, s.trials(ctx, now, &done))
	errs = append(errs, s.projects(ctx, now))
	n, err := s.Ledger.Root.DeleteUnfinished(ctx, now.Add(-unfinishedFor))
	done.Unfinished += n
	errs = append(errs, err)
	return done, errors.Join(errs...)
}

// clock returns the storage's time: this machine's clock may be wrong.
func (s *Sweeper) clock(ctx context.Context) (time.Time, error) {
	root := s.Ledger.Root
	if err := root.Write(ctx, dataroot.SweptKey, []byte("{}")); err != nil {
		return time.Time{}, fmt.Errorf("sweep: %w", err)
	}
	files, err := root.List(ctx, path.Dir(dataroot.SweptKey))
	if err != nil || len(files) == 0 {
		return time.Time{}, fmt.Errorf("sweep: ask the storage for the time: %w", err)
	}
	return files[0].ModTime, nil
}

// folder is the files of a folder.
type folder struct {
	dir    string
	newest time.Time
	// written is newest without the files that forgetting a person rewrites, unless there are no
	// others.
	written time.Time
	files   []string
}

// grouped calls f with the files below prefix, grouped by the first depth elements of their
// names.
func (s *Sweeper) grouped(ctx context.Context, prefix string, depth int, f func(folder) error) error {
	var errs []error
	var g folder
	end := func() {
		if g.dir != "" {
			if g.written.IsZero() {
				g.written = g.newest
			}
			if err := f(g); err != nil {
				errs = append(errs, fmt.Errorf("sweep %s: %w", g.dir, err))
			}
		}
	}
	err := s.Ledger.Root.Walk(ctx, prefix, func(o storage.Object) error {
		parts := strings.SplitN(o.Name, "/", depth+1)
		if len(parts) <= depth {
			return nil
		}
		if dir := path.Join(parts[:depth]...); dir != g.dir {
			end()
			g = folder{dir: dir}
		}
		g.files = append(g.files, o.Name)
		if o.ModTime.After(g.newest) {
			g.newest = o.ModTime
		}
		if !dataroot.HasRows(path.Base(o.Name)) && o.ModTime.After(g.written) {
			g.written = o.ModTime
		}
		return ctx.Err()
	})
	end()
	return errors.Join(append(errs, err)...)
}

// staged deletes the staged data of runs that have ended. It first adds to the snapshot
// what such a run may have sent.
func (s *Sweeper) staged(ctx context.Context, now time.Time, done *schemas.SweepResult) error {
	l := s.Ledger
	return s.grouped(ctx, "staging", 5, func(g folder) error {
		age := now.Sub(g.newest)
		if age < afterEnd {
			return nil
		}
		var o ledger.Origin
		data, err := l.Root.Read(ctx, path.Join(g.dir, ledger.OriginFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrKey) {
			return err
		}
		if err == nil {
			err = json.Unmarshal(data, &o)
		}
		run := schemas.RunRef{Connection: o.Connection, Export: o.Export, RunID: o.RunID, Segment: o.Segment}
		if err != nil || dataroot.StagingDir(run) != g.dir {
			least := unsigned
			if errors.Is(err, fs.ErrNotExist) {
				least = afterLoss // an abandoned attempt wrote them after the run's end
			}
			if errors.Is(err, storage.ErrKey) || age < least {
				return nil
			}
			done.Staged++
			return l.Root.DeletePrefix(ctx, g.dir)
		}
		state, underWay, err := s.Runs.State(ctx, run)
		switch {
		case err != nil:
			return err
		case state == Lives, state == Unknown && age < afterLoss:
			return nil
		}
		if ok, err := l.AbsorbDead(ctx, run, underWay); !ok || err != nil {
			return err
		}
		done.Staged++
		return l.Discard(ctx, run)
	})
}

// snapshots deletes snapshots beside a newer one, and the markers of attempts that never staged
// anything. A run deletes those before its own, but a stalled one can publish a snapshot after that,
// and no run may follow: the list may be a trial's, or that of a value that has vanished.
func (s *Sweeper) snapshots(ctx context.Context, now time.Time, done *schemas.SweepResult) error {
	return s.grouped(ctx, dataroot.SnapshotsDir, 4, func(g folder) error {
		age := now.Sub(g.newest)
		if age < afterEnd {
			return nil
		}
		version := func(file string) int64 {
			v, _ := dataroot.SnapshotVersion(path.Base(file)) // 0 is no snapshot
			return v
		}
		newest := int64(0)
		for _, f := range g.files {
			newest = max(newest, version(f))
		}
		for _, f := range g.files {
			old := version(f) != 0 && version(f) != newest
			if age >= afterLoss && !old {
				var err error
				if old, err = s.unstaged(ctx, f); err != nil {
					return err
				}
			}
			if !old {
				continue
			}
			done.Unfinished++
			if err := s.Ledger.Root.DeletePrefix(ctx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// unstaged reports whether a file is the marker of an attempt that has sent nothing, and that has
// no staged files: its run was terminated before it had any.
func (s *Sweeper) unstaged(ctx context.Context, file string) (bool, error) {
	if !strings.HasPrefix(path.Base(file), dataroot.PendingPrefix) {
		return false, nil
	}
	root := s.Ledger.Root
	var p ledger.Pending
	found, err := root.ReadJSON(ctx, file, &p)
	if err != nil || !found || p.Sent || path.Base(file) != ledger.MarkerFile(p.RunID, p.Attempt) {
		return false, nil // a damaged one may be of a run that has sent something
	}
	dir := strings.Split(path.Dir(file), "/")
	staged, err := root.List(ctx, path.Join(dataroot.StagedFilesDir, dir[1], dir[2], dataroot.PathID(p.RunID), dir[3]))
	return len(staged) == 0 && err == nil, err
}

// trials deletes the people of trials that could not do so themselves.
func (s *Sweeper) trials(ctx context.Context, now time.Time, done *schemas.SweepResult) error {
	root := s.Ledger.Root
	return root.Walk(ctx, dataroot.TrialsDir, func(o storage.Object) error {
		if o.Name == dataroot.TrialSaltKey || now.Sub(o.ModTime) < trialFor {
			return nil
		}
		done.Staged++
		return root.DeletePrefix(ctx, o.Name)
	})
}

// projects deletes what is known of projects that nothing was sent to for a while.
func (s *Sweeper) projects(ctx context.Context, now time.Time) error {
	return s.grouped(ctx, "projects", 2, func(g folder) error {
		if now.Sub(g.newest) < unsentFor {
			return nil
		}
		return s.Ledger.Root.DeletePrefix(ctx, g.dir)
	})
}

// reports deletes rejects and reports that are older than their retention.
func (s *Sweeper) reports(ctx context.Context, now time.Time, done *schemas.SweepResult) error {
	l, keep := s.Ledger, s.Retention()
	over := func(g folder, kept time.Duration) bool { return kept > 0 && now.Sub(g.written) > kept }
	return s.grouped(ctx, "reports", 4, func(g folder) error {
		has := func(file string) bool { return slices.Contains(g.files, path.Join(g.dir, file)) }
		// A waiting run still needs its record, and has no report yet.
		waits := has(dataroot.RunRecordFile) && !has(dataroot.RunReportFile) && now.Sub(g.written) < unsigned
		switch {
		case over(g, keep.Reports()) && !waits:
			done.Reports++
			return l.Root.DeletePrefix(ctx, g.dir)
		case over(g, keep.Rejects()):
			found := 0
			for _, file := range g.files {
				if dataroot.HasRows(path.Base(file)) {
					if err := l.Root.DeletePrefix(ctx, file); err != nil {
						return err
					}
					found = 1
				}
			}
			done.Rejects += found
		}
		return nil
	})
}

// suppressions deletes the kept hashes of suppression lists that were read long ago.
func (s *Sweeper) suppressions(ctx context.Context, now time.Time) error {
	root := s.Ledger.Root
	return root.Walk(ctx, dataroot.SuppressionDir, func(o storage.Object) error {
		if now.Sub(o.ModTime) < keptFor {
			return ctx.Err()
		}
		return root.DeletePrefix(ctx, o.Name)
	})
}
