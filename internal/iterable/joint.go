package iterable

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// joint lets concurrent callers share a request; with a nil one, each makes its own. The package singleflight of golang.org/x/sync
// would also share one that began before the call, and fail all callers if the first one's
// context ends.
type joint[T any] struct {
	mu   sync.Mutex
	next *asked[T] // what further callers share
}

type asked[T any] struct {
	done  chan struct{} // closed when the rest is set
	value T
	err   error
}

// get returns the answer of a request. The first caller makes it with ask. Those that call
// before ask calls begins, or before it ends, share the answer.
func (j *joint[T]) get(ctx context.Context, ask func(ctx context.Context, begins func()) (T, error)) (T, error) {
	if j == nil {
		return ask(ctx, func() {})
	}
	for {
		j.mu.Lock()
		q := j.next
		if q == nil {
			q = &asked[T]{done: make(chan struct{})}
			j.next = q
			j.mu.Unlock()
			return j.ask(ctx, q, ask)
		}
		j.mu.Unlock()
		select {
		case <-q.done:
		case <-ctx.Done():
			var zero T
			return zero, fmt.Errorf("iterable: %w", context.Cause(ctx))
		}
		var answered *Error
		if q.err == nil || errors.As(q.err, &answered) {
			return q.value, q.err
		}
		// The caller that made the request has ended.
	}
}

func (j *joint[T]) ask(ctx context.Context, q *asked[T], ask func(ctx context.Context, begins func()) (T, error)) (T, error) {
	begins := func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.next == q {
			j.next = nil
		}
	}
	defer close(q.done)
	defer begins()
	q.err = errUnasked // should ask panic
	q.value, q.err = ask(ctx, begins)
	return q.value, q.err
}

var errUnasked = errors.New("iterable: the request was not made")
