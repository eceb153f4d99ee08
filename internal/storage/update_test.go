package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/lease"
)

func TestUpdates(t *testing.T) {
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) { updates(t, func() *Root { return r }) })
	}
	t.Run("processes", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		updates(t, func() *Root { return open(t, dir) })
	})
}

func testUpdate(t cloudTest) {
	updates(t.T, func() *Root { return open(t.T, t.cloud.At("tenant/update")) })
}

// testConditions: a service that ignores conditions is noticed.
func testConditions(t cloudTest) {
	if err := t.root.CheckConditions(t.Context(), "probe"); err != nil {
		t.Error(err)
	}
	if strings.HasSuffix(t.Name(), "azure/conditions") {
		return // it signs the headers
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		t.cloud.Hurt(func(r *http.Request) emulators.Harm {
			if r.Header.Del(name); r.Method != http.MethodGet { // Google's is a parameter
				q := r.URL.Query()
				if generation := q.Get("ifGenerationMatch"); (generation == "0") == (name == "If-None-Match") {
					q.Del("ifGenerationMatch")
				}
				r.URL.RawQuery = q.Encode()
			}
			return emulators.Unharmed
		})
		if err := t.root.CheckConditions(t.Context(), "probe"); err == nil || !strings.Contains(err.Error(), "condition "+name+" ") {
			t.Errorf("%s is ignored: %v", name, err)
		}
	}
}

func open(t *testing.T, where string) *Root {
	t.Helper()
	r, err := OpenRoot(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// add returns a change that adds a line.
func add(line string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(slices.Clone(old), line+"\n"...), nil }
}

// updates tries the updates of a file: nothing that another one has written meanwhile is lost.
func updates(t *testing.T, another func() *Root) {
	ctx := t.Context()
	one, other := another(), another()
	content := func(want string) {
		t.Helper()
		if got, err := one.Read(ctx, "log/a"); err != nil || string(got) != want {
			t.Fatalf("the file has %q, %v, want %q", got, err, want)
		}
	}
	// beside changes the file between the look of an update and its write, once.
	beside := func(what string, meanwhile func() error) {
		t.Helper()
		calls := 0
		err := one.Update(ctx, "log/a", func(old []byte) ([]byte, error) {
			if calls++; calls == 1 {
				if err := meanwhile(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			return add(what)(old)
		})
		if err != nil || calls != 2 {
			t.Fatalf("%s: %v after %d calls", what, err, calls)
		}
	}
	beside("created", func() error { return other.Update(ctx, "log/a", add("first")) })
	content("first\ncreated\n")
	beside("added", func() error { return other.Update(ctx, "log/a", add("other")) })
	content("first\ncreated\nother\nadded\n")
	beside("written", func() error { return other.Write(ctx, "log/a", []byte("new\n")) })
	content("new\nwritten\n")
	beside("deleted", func() error { return other.DeletePrefix(ctx, "log/a") })
	content("deleted\n")

	if err := one.Update(ctx, "log/a", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	if err := one.Update(ctx, "log/a", func([]byte) ([]byte, error) { return nil, no }); !errors.Is(err, no) {
		t.Fatal(err)
	}
	content("deleted\n")
	calls := 0
	err := one.Update(ctx, "log/a", func(old []byte) ([]byte, error) {
		calls++
		return add("alone")(old)
	})
	if err != nil || calls != 1 {
		t.Fatalf("%v, after %d calls", err, calls)
	}

	const writers, each = 8, 3
	var all errgroup.Group
	for w := range writers {
		r := another()
		all.Go(func() error {
			for i := range each {
				if err := r.Update(ctx, "log/many", add(fmt.Sprintf("%d of %d", i, w))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := one.Read(ctx, "log/many")
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	slices.Sort(lines)
	if n := len(slices.Compact(lines)); err != nil || n != writers*each || len(lines) != n {
		t.Errorf("%d lines, %v:\n%s", n, err, got)
	}
	if one.dir != "" {
		if err := one.CheckConditions(ctx, "log/a"); err != nil {
			t.Error(err)
		}
	}
	if list, err := one.List(ctx, ""); err != nil || names(list) != "log/a log/many" {
		t.Errorf("there is %s, %v", names(list), err)
	}
}

// TestAnUpdateGivesUp when the file changes each time.
func TestAnUpdateGivesUp(t *testing.T) {
	r := open(t, "mem://")
	n := 0
	ctx, cancel := context.WithCancel(t.Context())
	change := func([]byte) ([]byte, error) {
		if n++; n == 3 {
			cancel()
		}
		return []byte("mine"), r.Write(t.Context(), "a", fmt.Append(nil, n))
	}
	if err := r.Update(ctx, "a", change); !errors.Is(err, context.Canceled) || n != 3 {
		t.Errorf("%v after %d tries", err, n)
	}
	if got, err := r.Read(t.Context(), "a"); err != nil || string(got) != "3" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAnUpdateAndADeleteTakeTurns in a local root: a file that an update has found unchanged is not deleted
// before it is replaced.
func TestAnUpdateAndADeleteTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, dir := t.Context(), t.TempDir()
		one, other := open(t, dir), open(t, dir)
		if err := one.Write(ctx, "a", []byte("old")); err != nil {
			t.Fatal(err)
		}
		unlock, err := one.lock(ctx) // as an update does before it compares
		if err != nil {
			t.Fatal(err)
		}
		deleted := make(chan error, 1)
		go func() { deleted <- other.Delete(ctx, "a") }()
		time.Sleep(lockTime / 2)
		if has, err := one.Has(ctx, "a"); !has || err != nil {
			t.Errorf("it was deleted meanwhile, %v", err)
		}
		unlock()
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
		if has, err := one.Has(ctx, "a"); has || err != nil {
			t.Errorf("it was not deleted, %v", err)
		}
		if err := one.Delete(ctx, "a"); err != nil {
			t.Errorf("what does not exist: %v", err)
		}
	})
}

// TestAStoppedProcessDelaysAnUpdateLittle while it has the lock. Who gives up does not wait longer.
func TestAStoppedProcessDelaysAnUpdateLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		stopped, same := open(t, dir), open(t, dir)
		unlock, err := stopped.lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		for who, r := range map[string]*Root{"its own": stopped, "another": same} {
			if err := r.Write(t.Context(), "a", []byte("old\n")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := r.Update(t.Context(), "a", add("new")); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "has locked") {
				t.Errorf("%s: %v", who, err)
			}
			if err := r.Delete(t.Context(), "a"); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", who, err)
			}
			if took := time.Since(began); took != 2*lockTime {
				t.Errorf("%s: gave up after %s", who, took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began = time.Now()
			if err := r.Update(ctx, "a", add("new")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %s", who, err, time.Since(began))
			}
			cancel()
		}
	})
}

// TestAnUpdateIsLateOnceItsLeaseEnds, also if it waits for the lock at that time.
func TestAnUpdateIsLateOnceItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		one, other := open(t, dir), open(t, dir)
		if err := one.Write(t.Context(), "a", []byte("old\n")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		l := lease.New(lockTime/4, func(context.Context) error {
			if time.Since(began) > lockTime/4 {
				return lease.ErrLost
			}
			return nil
		}, nil)
		unlock, err := other.lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		updated := make(chan error, 1)
		go func() { updated <- one.Update(lease.With(t.Context(), l), "a", add("late")) }()
		time.Sleep(lockTime / 2)
		unlock()
		if err := <-updated; !errors.Is(err, lease.ErrLost) {
			t.Errorf("%v", err)
		}
		if got, err := one.Read(t.Context(), "a"); err != nil || string(got) != "old\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
