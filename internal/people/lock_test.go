package people

import (
	"context"
	"errors"
	"path"
	"testing"
	"testing/synctest"
	"time"

	_ "gocloud.dev/blob/memblob"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/storage"
)

// memory returns a data root whose files have the time of the test's bubble.
func memory(t *testing.T) *storage.Root {
	root, err := storage.OpenRoot(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestOneClaim: a claim that is renewed keeps others out, and one of a killed process does so for
// a while.
func TestOneClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Place{Root: memory(t)}
		if err := p.Root.WriteJSON(t.Context(), path.Join(dataroot.ForgettingDir, "KILLED.json"), nil); err != nil {
			t.Fatal(err)
		}
		held, end, err := p.alone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.alone(t.Context()); !errors.Is(err, ErrUnderWay) {
			t.Errorf("beside a claim: %v", err)
		}
		if err := p.Root.Write(held, "x", nil); err != nil {
			t.Errorf("after others have asked: %v", err)
		}
		end()
		if _, end, err = p.alone(t.Context()); err != nil {
			t.Fatalf("after the end: %v", err)
		}
		end()
		if left, err := p.Root.List(t.Context(), dataroot.ForgettingDir); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// TestAStalledClaim: a process whose claim was not renewed for long can have no effect any more.
func TestAStalledClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stalled := Place{Root: memory(t)}, make(chan struct{})
		held, end, err := p.alone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mine := held
		p.Root.Around = func(ctx context.Context, key string, check, do func() error) error {
			if other := path.Dir(key) != dataroot.ForgettingDir; other {
				if err := check(); err != nil {
					return err
				}
			} else if stalled != nil {
				wait := stalled
				stalled = nil
				<-wait // the first renewal
			}
			return do()
		}
		wait := stalled
		time.Sleep(claimEvery + time.Second)
		next, endNext, err := p.alone(t.Context())
		if err != nil {
			t.Fatalf("beside a stalled claim: %v", err)
		}
		time.Sleep(time.Minute)
		close(wait)
		synctest.Wait()
		if err := p.Root.Write(mine, "x", nil); !errors.Is(err, lease.ErrLost) {
			t.Errorf("after it has stalled: %v", err)
		}
		if err := p.Root.Write(next, "x", nil); err != nil {
			t.Errorf("who came next: %v", err)
		}
		end()
		endNext()
	})
}
