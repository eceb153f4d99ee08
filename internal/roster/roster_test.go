package roster

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// told is what a roster says of a connection.
type told struct {
	part      float64
	unsettled bool
}

func newRoster(t *testing.T, dir string) (*Roster, chan told) {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	parts := make(chan told, 100)
	return New(root, slog.New(slog.DiscardHandler), func(_ string, part float64, unsettled time.Duration) {
		parts <- told{part, unsettled > 0}
	}), parts
}

func want(t *testing.T, parts chan told, w told) {
	t.Helper()
	select {
	case got := <-parts:
		if got != w {
			t.Errorf("told %+v, want %+v", got, w)
		}
	case <-time.After(time.Minute):
		t.Errorf("told nothing, want %+v", w)
	}
}

func TestWorkersDivideALimitByTheirUploads(t *testing.T) {
	dir := t.TempDir()
	a, aParts := newRoster(t, dir)
	b, bParts := newRoster(t, dir)
	leaveA := a.Join(t.Context(), "project")
	want(t, aParts, told{1, false})
	leaveB := b.Join(t.Context(), "project")
	want(t, bParts, told{0.5, true})
	want(t, aParts, told{0.5, true})
	more := b.Join(t.Context(), "project")
	want(t, bParts, told{2.0 / 3, false})
	want(t, aParts, told{1.0 / 3, true})
	other := a.Join(t.Context(), "another project")
	want(t, aParts, told{1, false})
	other()
	more()
	want(t, bParts, told{0.5, false})
	want(t, aParts, told{0.5, false})
	leaveB()
	want(t, aParts, told{1, false})
	leaveA()
	again := a.Join(t.Context(), "project")
	want(t, aParts, told{1, false})
	again()
}

func TestAWorkerThatWasKilledDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	senders := filepath.Join(dir, filepath.FromSlash(schemas.SendersDir("project")))
	if err := os.MkdirAll(senders, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"killed": 2 * missed, "long ago": 2 * forget} {
		file := filepath.Join(senders, name)
		if err := os.WriteFile(file, []byte("..."), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	a, parts := newRoster(t, dir)
	defer a.Join(t.Context(), "project")()
	want(t, parts, told{1, false})
	if _, err := os.Stat(filepath.Join(senders, "long ago")); !os.IsNotExist(err) {
		t.Errorf("the file of a worker long gone is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(senders, "killed")); err != nil {
		t.Errorf("a file was deleted too early: %v", err)
	}
}

func TestADataRootThatFailsHoldsNothingUp(t *testing.T) {
	dir := t.TempDir()
	a, parts := newRoster(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "connections"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Join(t.Context(), "project")()
	select {
	case got := <-parts:
		t.Errorf("told %+v", got)
	default:
	}
	var nobody *Roster
	nobody.Join(context.Background(), "project")()
}
