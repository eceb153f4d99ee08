package limits

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/storage"
)

// Documented reserves a request to an endpoint with a documented limit, which all workers
// and all connections to the project share. Time is divided into one slot less than the limit allows requests, and one worker
// creates a slot's file, so no second, or minute, has more requests than the limit. taken
// reports whether another worker has the present slot; next is how long that lasts.
func (s *Share) Documented(ctx context.Context, connection string, e api.Endpoint) (taken bool, next time.Duration, err error) {
	if s == nil {
		return false, 0, nil
	}
	slot := time.Duration(float64(time.Second) / max(1, e.PerSecond-1))
	if e.PerMinute > 0 {
		slot = time.Duration(float64(time.Minute) / max(1, e.PerMinute-1))
	}
	now := time.Now()
	number := now.UnixNano() / int64(slot)
	next = time.Unix(0, (number+1)*int64(slot)).Sub(now)
	dir := path.Join(dataroot.TurnsDir(s.project(ctx, connection)), e.Name)
	name := func(number int64) string { return path.Join(dir, fmt.Sprintf("%020d", number)) }
	err = s.root.WriteNew(ctx, name(number), nil)
	if errors.Is(err, storage.ErrExists) {
		return true, next, nil
	}
	if err != nil {
		return false, next, fmt.Errorf("reserve a turn for %s: %w", e.Name, err)
	}
	if s.tidying.CompareAndSwap(false, true) {
		go s.tidy(dir, name(number-max(kept, int64(clocks/slot)+1)))
	}
	return false, next, nil
}

// tidy deletes the files of the slots before one. The request does not wait for it. Files that
// tidyWithin is too short for are deleted after a later request.
func (s *Share) tidy(dir, before string) {
	defer s.tidying.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), tidyWithin)
	defer cancel()
	files, err := s.root.List(ctx, dir)
	for _, f := range files {
		if err == nil && f.Name < before {
			err = s.root.DeletePrefix(ctx, f.Name)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("past turns not deleted; the next request tries again", "folder", dir, "error", err)
	}
}

// tidyWithin is the time limit of deleting the files of past slots.
const tidyWithin = 10 * time.Second

// kept is the least number of past slots whose files are kept, and clocks the time for which
// they are kept at least, for workers with slow clocks.
const (
	kept   = 10
	clocks = time.Second
)

// Wait returns a function that blocks until a request over a connection is reserved, or nil
// without other workers.
func (s *Share) Wait(connection string) func(context.Context, api.Endpoint) error {
	if s == nil {
		return nil
	}
	return func(ctx context.Context, e api.Endpoint) error { return s.waitDocumented(ctx, connection, e) }
}

// waitDocumented blocks until a request is reserved. If the data root fails, it does not wait.
func (s *Share) waitDocumented(ctx context.Context, connection string, e api.Endpoint) error {
	for {
		taken, next, err := s.Documented(ctx, connection, e)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("documented limit not shared with other workers", "connection", connection, "endpoint", e.Name, "error", err)
		}
		if !taken || err != nil {
			return ctx.Err()
		}
		// Workers that wait for the same turn don't all ask for it at the same moment.
		if err := Sleep(ctx, next+rand.N(lookEvery/1000)); err != nil {
			return err
		}
	}
}
