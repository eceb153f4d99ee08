package sweep

import (
	"context"
	"slices"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// TestPeopleOfOldTrials are deleted, and the salt of their keys is not.
func TestPeopleOfOldTrials(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := trial.Sum(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	name, err := trial.Keep(t.Context(), root, "marketing", "Spring (trial)", []string{"ann@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	key := dataroot.TrialKey("marketing", "Spring (trial)", name)
	sweepsTo(t, root, 47*time.Hour, []string{key, dataroot.TrialSaltKey})
	sweepsTo(t, root, 49*time.Hour, []string{dataroot.TrialSaltKey})
}

// TestProjectsThatNothingIsSentTo: their folders go after a week. The records of connections stay.
func TestProjectsThatNothingIsSentTo(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const project = "api.iterable.com 12"
	kept := []string{dataroot.ConnectionCheckKey("c"), dataroot.ProjectKey("c")}
	for _, key := range slices.Concat(kept, []string{dataroot.LimitsKey(project), dataroot.SendersDir(project) + "/x"}) {
		if err := root.Write(t.Context(), key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(kept)
	for _, c := range []struct {
		later    time.Duration
		projects int
	}{{unsentFor - time.Hour, 2}, {unsentFor + time.Hour, 0}} {
		sweepsTo(t, root, c.later, nil)
		var names []string
		left, err := root.List(t.Context(), "connections")
		for _, o := range left {
			names = append(names, o.Name)
		}
		slices.Sort(names)
		projects, err2 := root.List(t.Context(), "projects")
		if err != nil || err2 != nil || !slices.Equal(names, kept) || len(projects) != c.projects {
			t.Errorf("after %s: %v and %d of projects, %v %v", c.later, names, len(projects), err, err2)
		}
	}
}

// sweepsTo sweeps as if so much time had gone by, and compares what is left of trials.
func sweepsTo(t *testing.T, root *storage.Root, later time.Duration, want []string) {
	t.Helper()
	s := Sweeper{
		Ledger: &ledger.Ledger{Root: root}, Retention: func() schemas.Retention { return schemas.Retention{} },
		Now: func(context.Context) (time.Time, error) { return time.Now().Add(later), nil },
	}
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := root.List(t.Context(), dataroot.TrialsDir)
	var names []string
	for _, o := range left {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("after %s there are %v, want %v, %v", later, names, want, err)
	}
}

// TestLateSnapshots: one that a stalled run has published beside a newer one is deleted, once
// nothing has been written beside it for a while.
func TestLateSnapshots(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir := dataroot.SnapshotDir("marketing", "Spring", "In SE") + "/"
	late, newest, notes := dir+dataroot.SnapshotName(2), dir+dataroot.SnapshotName(10), dir+"unsent.json"
	for _, key := range []string{newest, notes, late} {
		if err := root.Write(t.Context(), key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		later time.Duration
		left  []string
	}{{afterEnd / 2, []string{late, newest, notes}}, {2 * afterEnd, []string{newest, notes}}} {
		sweepsTo(t, root, c.later, nil)
		var left []string
		files, err := root.List(t.Context(), dataroot.SnapshotsDir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			left = append(left, f.Name)
		}
		if slices.Sort(left); !slices.Equal(left, c.left) {
			t.Errorf("after %s: %v", c.later, left)
		}
	}
}
