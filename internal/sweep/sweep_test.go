package sweep

import (
	"context"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// sweeper returns a Sweeper of a data root at a time. Each run waits.
func sweeper(root *storage.Root, now time.Time) *Sweeper {
	return &Sweeper{
		Ledger: &ledger.Ledger{Root: root, Log: slog.New(slog.DiscardHandler)}, Runs: waiting{},
		Retention: func() schemas.Retention { return schemas.Retention{} },
		Now:       func(context.Context) (time.Time, error) { return now, nil },
	}
}

// TestTheSweepOfWhatIsKept: a file that was written again without a person is deleted when it
// would have been, and the hashes of a suppression list that no run reads any more go too.
func TestTheSweepOfWhatIsKept(t *testing.T) {
	dir := t.TempDir()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	run := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r1"}
	reports, now := dataroot.ReportDir(run), time.Now()
	for name, age := range map[string]time.Duration{dataroot.ReportFile: 40 * 24 * time.Hour, dataroot.RowsFile: 0, dataroot.RejectsFile: 40 * 24 * time.Hour} {
		key := path.Join(reports, name)
		if err := root.Write(t.Context(), key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		at := now.Add(-age)
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(key)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for list, age := range map[string]time.Duration{"Old": 31 * 24 * time.Hour, "New": 29 * 24 * time.Hour} {
		key := dataroot.SuppressionKey("sandbox", list)
		if err := root.Write(t.Context(), key, []byte("hashes")); err != nil {
			t.Fatal(err)
		}
		at := now.Add(-age)
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(key)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	s := sweeper(root, now)
	done, err := s.Sweep(t.Context())
	if err != nil || done.Rejects != 1 || done.Reports != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	files, err := root.List(t.Context(), reports)
	if err != nil || len(files) != 1 || path.Base(files[0].Name) != dataroot.ReportFile {
		t.Errorf("left: %+v, %v", files, err)
	}
	lists, err := root.List(t.Context(), dataroot.SuppressionDir)
	if err != nil || len(lists) != 1 || lists[0].Name != dataroot.SuppressionKey("sandbox", "New") {
		t.Errorf("lists: %+v, %v", lists, err)
	}
}

// TestLateStagedFiles: what a stalled attempt stages after its run's end has no origin, and is
// deleted after a day. Files whose origin is damaged may be those of a run that waits.
func TestLateStagedFiles(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	late := schemas.RunRef{Connection: "sandbox", Export: "Late", Segment: "Late", RunID: "r1"}
	damaged := schemas.RunRef{Connection: "sandbox", Export: "Damaged", Segment: "Damaged", RunID: "r2"}
	for key, content := range map[string]string{
		path.Join(dataroot.StagedDir(late, "1"), dataroot.AddsFile):    "rows",
		path.Join(dataroot.StagedDir(damaged, "1"), dataroot.AddsFile): "rows",
		path.Join(dataroot.StagingDir(damaged), ledger.OriginFile):     "half of it",
	} {
		if err := root.Write(t.Context(), key, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		age                   time.Duration
		late, damaged, staged int
	}{{23 * time.Hour, 1, 2, 0}, {25 * time.Hour, 0, 2, 1}, {61 * 24 * time.Hour, 0, 0, 1}} {
		now := time.Now().Add(c.age)
		s := sweeper(root, now)
		done, err := s.Sweep(t.Context())
		if err != nil || done.Staged != c.staged {
			t.Errorf("after %s: %+v, %v", c.age, done, err)
		}
		for run, want := range map[schemas.RunRef]int{late: c.late, damaged: c.damaged} {
			if files, err := root.List(t.Context(), dataroot.StagingDir(run)); err != nil || len(files) != want {
				t.Errorf("after %s: %d files of %s, want %d, %v", c.age, len(files), run.Export, want, err)
			}
		}
	}
}

// TestMarkersWithoutStagedFiles: a trial was terminated before it had staged anything, and none
// follows that could notice. Its marker would count as an unfinished run for ever.
func TestMarkersWithoutStagedFiles(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir := dataroot.SnapshotDir("sandbox", "Spring", "Spring")
	staged := schemas.RunRef{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r2"}
	markers := map[string]ledger.Pending{
		"pending-r1-a.json":     {RunID: "r1", Attempt: "a"},
		"pending-r2-a.json":     {RunID: "r2", Attempt: "a"},
		"pending-r3-a.json":     {RunID: "r3", Attempt: "a", Sent: true},
		"pending-forget-1.json": {},
	}
	for name, p := range markers {
		if err := root.WriteJSON(t.Context(), path.Join(dir, name), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.Write(t.Context(), path.Join(dataroot.StagedDir(staged, "a"), dataroot.RemovesFile), []byte("rows")); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteJSON(t.Context(), path.Join(dataroot.StagingDir(staged), ledger.OriginFile), ledger.Origin{Connection: "sandbox", Export: "Spring", Segment: "Spring", RunID: "r2"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age  time.Duration
		left int
	}{{23 * time.Hour, 4}, {25 * time.Hour, 3}} {
		now := time.Now().Add(c.age)
		s := sweeper(root, now)
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, err := root.List(t.Context(), dir)
		if err != nil || len(left) != c.left {
			t.Errorf("after %s: %+v, %v", c.age, left, err)
		}
	}
	if found, err := root.ReadJSON(t.Context(), path.Join(dir, "pending-r1-a.json"), &ledger.Pending{}); found || err != nil {
		t.Errorf("the marker without staged files is left, %v", err)
	}
}

// waiting says of each run that it waits.
type waiting struct{}

func (waiting) State(context.Context, schemas.RunRef) (State, bool, error) { return Lives, true, nil }
