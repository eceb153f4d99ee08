package limits

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/schemas"
)

const (
	// mostInFlight bounds the requests that wait for an answer. largeInFlight bounds those
	// of more than fewRows profiles, to bound memory: a body has up to 4 MB, and its batches
	// as much again.
	mostInFlight  = 64
	largeInFlight = 16
	fewRows       = 5 * startRows
	// patience is the maximum wait before the rate is read again: it can rise meanwhile.
	patience = time.Second
)

// inFlight returns the maximum number of concurrent requests of a size.
func inFlight(rows int) int {
	if rows > fewRows {
		return largeInFlight
	}
	return mostInFlight
}

// Limiter paces the requests of this process to one endpoint of a connection, and
// learns from their answers. It is safe for concurrent use.
type Limiter struct {
	turn  chan struct{} // held by the goroutine that waits for the next turn
	freed chan struct{} // a request was answered
	found chan struct{} // the first 429 was answered: the other workers should know soon

	mu       sync.Mutex
	c        *controller
	pace     *rate.Limiter
	last     time.Time // of the last request
	paused   time.Time // no request before
	inFlight int
}

func newLimiter(set schemas.Limits, known Learned) *Limiter {
	c := newController(set, known)
	return &Limiter{
		turn: make(chan struct{}, 1), freed: make(chan struct{}, 1), found: make(chan struct{}, 1),
		c: c, pace: rate.NewLimiter(rate.Limit(c.own()), 1),
	}
}

// Sleep blocks for a time, or until the context ends, and then returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Turn is the right to send one request of at most Profiles profiles, with a body of at most
// Bytes bytes; 0 is no bound. It ends with exactly one call of its methods.
type Turn struct {
	Profiles int
	Bytes    int
	l        *Limiter
	sent     time.Time
	probe    bool
}

// Wait blocks until it is the caller's turn, in the order of the calls, or returns the
// context's error.
func (l *Limiter) Wait(ctx context.Context) (Turn, error) {
	select {
	case l.turn <- struct{}{}: // the runtime serves senders in their order
	case <-ctx.Done():
		return Turn{}, ctx.Err()
	}
	defer func() { <-l.turn }()
	for {
		if err := ctx.Err(); err != nil {
			return Turn{}, err
		}
		turn, full, wait := l.next()
		switch {
		case turn.l != nil:
			return turn, nil
		case full:
			select {
			case <-l.freed:
			case <-time.After(wait):
			case <-ctx.Done():
			}
		default:
			if err := Sleep(ctx, wait); err != nil {
				return Turn{}, err
			}
		}
	}
}

// next returns a turn, or how long to wait before the next call. full reports whether the end of
// a request in progress can shorten that.
func (l *Limiter) next() (turn Turn, full bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	rows, probe := l.c.size(now)
	if l.inFlight >= inFlight(rows) {
		return Turn{}, true, patience
	}
	if wait := l.c.growing(now); wait > 0 {
		return Turn{}, true, wait
	}
	if wait := l.paused.Sub(now); wait > 0 {
		return Turn{}, false, min(wait, patience)
	}
	if !l.pace.AllowN(now, 1) {
		wait := time.Duration((1 - l.pace.TokensAt(now)) / l.c.own() * float64(time.Second))
		return Turn{}, false, min(max(wait, time.Microsecond), patience)
	}
	l.inFlight++
	l.last = now
	if probe {
		l.c.probing, l.c.probed = true, now
	}
	l.c.sending(now)
	return Turn{rows, l.c.bytes(now), l, now, probe}, false, 0
}

// change calls f with the controller and applies its new pace.
func (l *Limiter) change(do func(c *controller, now time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	before, part := l.c.own(), l.c.part
	do(l.c, now)
	own := l.c.own()
	switch {
	case own == before && part == l.c.part:
	case !l.c.Found && part == l.c.part:
		l.pace.SetLimitAt(now, rate.Limit(own))
	default:
		from := l.last.Add(time.Duration(float64(time.Second) / own / 2))
		for _, t := range []time.Time{now, l.paused} {
			if t.After(from) {
				from = t
			}
		}
		l.pace, l.paused = rate.NewLimiter(rate.Limit(own), 1), l.c.slot(from)
	}
}

// end ends a turn.
func (t Turn) end(do func(c *controller, now time.Time)) {
	t.l.change(func(c *controller, now time.Time) {
		t.l.inFlight--
		select {
		case t.l.freed <- struct{}{}:
		default:
		}
		c.probing = c.probing && !t.probe
		do(c, now)
	})
}

// Cancel ends the turn without a request.
func (t Turn) Cancel() { t.end(func(*controller, time.Time) {}) }

// Accepted records that Iterable answered a request of so many profiles, neither as too large
// nor as too early.
func (t Turn) Accepted(profiles int) {
	t.end(func(c *controller, now time.Time) { c.accepted(t.sent, now, profiles, t.Profiles) })
}

// Throttled records that the request was answered 429, with Iterable's Retry-After; 0 if
// there was none.
func (t Turn) Throttled(retryAfter time.Duration) {
	t.end(func(c *controller, now time.Time) {
		known := c.Found
		if until := now.Add(max(retryAfter, c.throttled(t.sent, now))); until.After(t.l.paused) {
			t.l.paused = until
		}
		if c.Found && !known {
			select {
			case t.l.found <- struct{}{}:
			default:
			}
		}
	})
}

// TooLarge records that a request of so many profiles and bytes was refused for its size.
func (t Turn) TooLarge(profiles, bytes int) {
	t.end(func(c *controller, now time.Time) { c.tooLarge(t.sent, now, profiles, t.Profiles, bytes) })
}

// Failed records that the request got a 5xx or no answer, and reports whether it must be made
// smaller.
func (t Turn) Failed(profiles int) (smaller bool) {
	t.end(func(c *controller, _ time.Time) { smaller = c.failed(profiles) })
	return smaller
}

// Rate returns the requests per second of this process.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.own()
}

// Learned returns what is known of the limits, with the current rate of all workers.
func (l *Limiter) Learned() Learned {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.Learned
}

// remembered returns what is stored of the limits.
func (l *Limiter) remembered() Learned {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.remembered()
}

// configure changes the settings.
func (l *Limiter) configure(set schemas.Limits) {
	l.change(func(c *controller, _ time.Time) {
		if c.set != set {
			part := c.part
			*c = *newController(set, c.remembered())
			c.part = part
		}
	})
}

// divide sets the limiter's part of the rate, and what the other workers know. joined
// reports whether some have just begun to send.
func (l *Limiter) divide(p part, joined bool, others []Learned) {
	l.change(func(c *controller, now time.Time) {
		c.part = p
		for _, o := range others {
			c.adopt(o, now)
		}
		if joined && c.Found {
			c.unsettled = now.Add(lookEvery)
		}
	})
}
