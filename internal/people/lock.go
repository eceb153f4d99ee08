package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/lease"
)

// ErrUnderWay is the error of removing a person while another one is being removed.
var ErrUnderWay = errors.New("a person is being removed already; repeat this when that has ended")

const (
	// claimFor is how long a claim counts after it was written last. It is renewed much more
	// often, by an attempt that still works.
	claimFor   = 2 * time.Minute
	claimEvery = 10 * time.Second
	// claimWait is how long another claim is waited for: longer than that of a process that was
	// killed counts.
	claimWait = claimFor + 30*time.Second
)

// claim is a file that makes one process at a time rewrite what the data root has of people. Its
// age is measured by the storage's clock alone: files are compared with files.
//
// A process writes its claim and then lists all. It gives way if there is another one that is
// younger than claimFor, and so at least one of two sees the other. A claim that was not renewed for
// half of claimFor is lost: until then all others have given way to it.
type claim struct {
	Place
	key     string
	written time.Time                 // by the storage's clock
	renewed atomic.Pointer[time.Time] // before it was written last, by the wall clock; nil once it is lost
}

// alone returns a context whose effects on the data root happen only while no other process
// removes people. The caller calls end.
func (p Place) alone(ctx context.Context) (_ context.Context, end func(), err error) {
	c := &claim{Place: p, key: path.Join(dataroot.ForgettingDir, rand.Text()+".json")}
	timeout := time.NewTimer(claimWait)
	defer timeout.Stop()
	for {
		began := time.Now().Round(0)
		other, err := c.write(ctx)
		if err == nil && !other {
			c.renewed.Store(&began)
			break
		}
		c.drop(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("make sure that only one process removes people: %w", err)
		}
		var random [1]byte
		_, _ = rand.Read(random[:]) // never fails
		select {
		case <-time.After(time.Second + time.Duration(random[0])*10*time.Millisecond): // two don't give way to each other for ever
		case <-timeout.C:
			return nil, nil, ErrUnderWay
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	within := lease.New(time.Second, func(context.Context) error { return c.holds() }, nil)
	held, lose := context.WithCancelCause(lease.With(ctx, within))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(claimEvery)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			if err := c.renew(ctx); errors.Is(err, lease.ErrLost) {
				lose(err)
				return
			}
		}
	}()
	return held, func() { lose(nil); <-ended; c.drop(ctx) }, nil
}

// write writes the claim, and reports whether there is another one that counts. It deletes those
// that don't.
func (c *claim) write(ctx context.Context) (other bool, err error) {
	if err := c.Root.WriteJSON(ctx, c.key, struct{}{}); err != nil {
		return false, err
	}
	all, err := c.Root.List(ctx, dataroot.ForgettingDir)
	if err != nil {
		return false, err
	}
	c.written = time.Time{}
	for _, o := range all {
		if o.Name == c.key {
			c.written = o.ModTime
		}
	}
	if c.written.IsZero() {
		return false, fmt.Errorf("%s is not listed after it was written", c.key)
	}
	for _, o := range all {
		switch {
		case o.Name == c.key:
		case c.written.Sub(o.ModTime) < claimFor:
			other = true
		default:
			if err := c.Root.DeletePrefix(ctx, o.Name); err != nil {
				return false, err
			}
		}
	}
	return other, nil
}

// renew writes the claim again. It is lost if others may not have counted it in the meantime.
func (c *claim) renew(ctx context.Context) error {
	before, began := c.written, time.Now().Round(0)
	if _, err := c.write(ctx); err != nil {
		return err
	}
	if c.written.Sub(before) >= claimFor/2 {
		c.renewed.Store(nil)
		return fmt.Errorf("%w: its claim was not renewed for %s", lease.ErrLost, c.written.Sub(before))
	}
	c.renewed.Store(&began)
	return nil
}

// holds returns an error if the claim is lost, or was not renewed lately.
func (c *claim) holds() error {
	last := c.renewed.Load()
	switch {
	case last == nil:
		return lease.ErrLost
	case time.Now().Round(0).Sub(*last) >= 3*claimEvery:
		return errors.New("its claim in the data root was not renewed")
	}
	return nil
}

// drop deletes the claim, also when the context has ended. Otherwise it counts for claimFor.
func (c *claim) drop(ctx context.Context) {
	if err := c.Root.DeletePrefix(context.WithoutCancel(ctx), c.key); err != nil && c.Log != nil {
		c.Log.Warn("claim not deleted, so the next person can't be removed for a while", "file", c.key, "after", claimFor.String(), "error", err)
	}
}
