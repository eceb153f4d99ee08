package limits

import (
	"context"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func newShare(t *testing.T, dir string) (*Share, *Registry) {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	r := NewRegistry()
	return NewShare(root, r, slog.New(slog.DiscardHandler)), r
}

// until waits until ok returns true, which needs one or two rounds, or fails the test.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestWorkersDivideALimitByTheirUploads(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	b, rb := newShare(t, dir)
	set := schemas.Limits{RequestsPerSecond: 30}
	la, lb := ra.For("project", "subscribe", set), rb.For("project", "subscribe", set)
	leaveA := a.Join(t.Context(), "project")
	if la.Rate() != 30 {
		t.Errorf("alone: %g a second", la.Rate())
	}
	leaveB := b.Join(t.Context(), "project")
	until(t, "both have half", func() bool { return la.Rate() == 15 && lb.Rate() == 15 })
	more := b.Join(t.Context(), "project")
	until(t, "a third and two", func() bool { return la.Rate() == 10 && lb.Rate() == 20 })
	if other := ra.For("another", "subscribe", set); other.Rate() != 30 {
		t.Errorf("another project: %g a second", other.Rate())
	}
	later := rb.For("project", "unsubscribe", set)
	if later.Rate() != 20 {
		t.Errorf("a limiter that is made later: %g a second", later.Rate())
	}
	more()
	leaveB()
	until(t, "all of it again", func() bool { return la.Rate() == 30 })
	leaveA()
	until(t, "nobody is left", func() bool {
		files, err := a.root.List(t.Context(), dataroot.SendersDir(ownProject("project")))
		return err == nil && len(files) == 0
	})
}

// TestWhoWasThereHasNotJustJoined: 429s count, unless a worker has come since the last look.
func TestWhoWasThereHasNotJustJoined(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	b, rb := newShare(t, dir)
	joined := func(r *Registry) int {
		l := r.For("project", "subscribe", schemas.Limits{})
		l.mu.Lock()
		defer l.mu.Unlock()
		l.c.Found = true
		if l.c.unsettled.IsZero() {
			return 0
		}
		l.c.unsettled = time.Time{}
		return 1
	}
	pa, pb := &presence{mine: 1}, &presence{mine: 1}
	joined(ra)
	joined(rb)
	b.look(t.Context(), ownProject("project"), pb)
	a.look(t.Context(), ownProject("project"), pa) // sees the other for the first time
	if joined(ra) != 1 {
		t.Error("that another one has joined is not seen")
	}
	for range 3 {
		b.look(t.Context(), ownProject("project"), pb)
		a.look(t.Context(), ownProject("project"), pa)
	}
	if joined(ra) != 0 || joined(rb) != 1 {
		t.Error("one that was there before is held to have joined just now")
	}
}

// What one worker has learned is there for the next, for a week.
func TestWhatWasLearnedIsKept(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	l := ra.For("project", "subscribe", schemas.Limits{})
	leave := a.Join(t.Context(), "project")
	l.mu.Lock()
	l.c.Learned = Learned{Rate: 40, Rows: 7_000, TooMany: 8_000, Changes: 3, Found: true}
	l.mu.Unlock()
	leave()
	until(t, "it is stored", func() bool {
		s, err := Read(t.Context(), a.root, "project")
		return err == nil && s.Limits["subscribe"].Rows == 7_000
	})
	b, rb := newShare(t, dir)
	leave = b.Join(t.Context(), "project")
	if got := rb.For("project", "subscribe", schemas.Limits{}).Learned(); got.Rate != 40 || got.Rows != 7_000 || got.TooMany != 8_000 {
		t.Errorf("the next worker knows %+v", got)
	}
	leave()
	until(t, "nobody is left", func() bool {
		files, err := a.root.List(t.Context(), dataroot.SendersDir(ownProject("project")))
		return err == nil && len(files) == 0
	})
	old := []byte(`{"at":"` + time.Now().Add(-8*24*time.Hour).UTC().Format(time.RFC3339) + `","limits":{"subscribe":{"profiles":7000}}}`)
	if err := a.root.Write(t.Context(), dataroot.LimitsKey(ownProject("project")), old); err != nil {
		t.Fatal(err)
	}
	if s, err := Read(t.Context(), a.root, "project"); err != nil || len(s.Limits) != 0 {
		t.Errorf("after a week: %+v, %v", s, err)
	}
}

// Workers that send at the same time learn from each other.
func TestWorkersLearnFromEachOther(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	b, rb := newShare(t, dir)
	la, lb := ra.For("project", "subscribe", schemas.Limits{}), rb.For("project", "subscribe", schemas.Limits{})
	defer b.Join(t.Context(), "project")()
	la.mu.Lock()
	la.c.Learned = Learned{Rate: 40, Rows: 7_000, TooMany: 8_000, Changes: 3, Found: true}
	la.mu.Unlock()
	defer a.Join(t.Context(), "project")()
	until(t, "b knows what a knows", func() bool { l := lb.Learned(); return l.Rate == 40 && l.Rows == 7_000 && l.TooMany == 8_000 })
}

// The first 429 is announced at once, in no time of the bubble.
func TestTheFirstOverloadIsSharedAtOnce(t *testing.T) {
	a, r := newShare(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		defer a.Join(t.Context(), "project")()
		turn, err := r.For("project", "subscribe", schemas.Limits{}).Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		turn.Throttled(0)
		synctest.Wait()
		data, err := a.root.Read(t.Context(), path.Join(dataroot.SendersDir(ownProject("project")), a.id))
		if err != nil || !strings.Contains(string(data), `"found":true`) {
			t.Errorf("%s, %v", data, err)
		}
	})
}

// A worker that was killed leaves its file, which does not count after a while.
func TestAWorkerThatWasKilledDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	l := ra.For("project", "subscribe", schemas.Limits{RequestsPerSecond: 30})
	dead := filepath.Join(dir, dataroot.SendersDir(ownProject("project")), "dead")
	if err := os.MkdirAll(filepath.Dir(dead), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dead, []byte(`{"uploads":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dead, long, long); err != nil {
		t.Fatal(err)
	}
	defer a.Join(t.Context(), "project")()
	if l.Rate() != 30 {
		t.Errorf("%g a second", l.Rate())
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("the file is left")
	}
}

// Without the data root a worker goes by its own answers.
func TestWithoutADataRoot(t *testing.T) {
	a, ra := newShare(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := ra.For("project", "subscribe", schemas.Limits{RequestsPerSecond: 30})
	a.root.Close()
	a.Join(ctx, "project")()
	if l.Rate() != 30 {
		t.Errorf("%g a second", l.Rate())
	}
	var nobody *Share
	nobody.Join(ctx, "project")()
}

// Looking at the others goes on after the upload that came first: its lease on the data
// root is over then.
func TestLookingOutlivesTheFirstUpload(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	l := ra.For("project", "subscribe", schemas.Limits{RequestsPerSecond: 30})
	var over atomic.Bool
	held := lease.New(time.Second, func(context.Context) error {
		if over.Load() {
			return lease.ErrLost
		}
		return nil
	}, nil)
	leave := a.Join(lease.With(t.Context(), held), "project")
	defer a.Join(t.Context(), "project")()
	leave()
	over.Store(true)
	another, _ := newShare(t, dir)
	defer another.Join(t.Context(), "project")()
	until(t, "the other worker is seen", func() bool { return l.Rate() == 15 })
}
