package limits

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/schemas"
)

const (
	// mostInFlight bounds the requests that wait for an answer, and profilesInFlight
	// the profiles in them, which is a bound on memory: a body has about 4 MB.
	mostInFlight     = 64
	profilesInFlight = 1_600_000
	// patience bounds a wait for a turn: the rate can rise meanwhile.
	patience = time.Second
)

// inFlight is how many requests of a size may wait for an answer at a time.
func inFlight(rows int) int {
	rows = min(rows, schemas.DefaultMaxBodyBytes/40)
	return max(2, min(mostInFlight, profilesInFlight/max(1, rows)))
}

// pacing spaces requests.
type pacing struct {
	*rate.Limiter
	paused time.Time // nothing leaves before
}

// ready takes a turn at a rate and returns 0, or how long to wait before the next
// look.
func (p *pacing) ready(now time.Time, perSecond float64) time.Duration {
	if perSecond == 0 {
		return patience
	}
	p.SetLimitAt(now, rate.Limit(perSecond))
	if wait := p.paused.Sub(now); wait > 0 {
		return min(wait, patience)
	}
	if p.AllowN(now, 1) {
		return 0
	}
	wait := time.Duration((1 - p.TokensAt(now)) / perSecond * float64(time.Second))
	return min(max(wait, time.Microsecond), patience)
}

// pause lets nothing leave for a time.
func (p *pacing) pause(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(p.paused) {
		p.paused = until
	}
}

// Limiter paces the requests of this process to one endpoint of a connection, and
// learns from their answers. It is safe for concurrent use.
type Limiter struct {
	turn  chan struct{} // held by the one who waits for the next turn
	freed chan struct{} // a request was answered
	now   func() time.Time
	wait  func(context.Context, time.Duration) error

	mu       sync.Mutex
	c        *controller
	pacing   pacing
	inFlight int
}

func newLimiter(set schemas.Limits, known Learned) *Limiter {
	c := newController(set, known)
	return &Limiter{
		turn: make(chan struct{}, 1), freed: make(chan struct{}, 1), now: time.Now, wait: sleep,
		c: c, pacing: pacing{rate.NewLimiter(rate.Limit(c.Rate), 1), time.Time{}},
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Turn is the right to send one request of at most Profiles profiles. It ends with
// exactly one call of its methods.
type Turn struct {
	Profiles int
	l        *Limiter
	sent     time.Time
}

// Wait blocks until it is this caller's turn, first come, first served. It returns
// the context's error once that ends.
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
		l.mu.Lock()
		now := l.now()
		rows := l.c.size(now)
		full := l.inFlight >= inFlight(rows)
		var d time.Duration
		if !full {
			d = l.pacing.ready(now, l.c.own(now))
		}
		if !full && d == 0 {
			l.inFlight++
			l.mu.Unlock()
			return Turn{rows, l, now}, nil
		}
		l.mu.Unlock()
		if full {
			select {
			case <-l.freed:
			case <-ctx.Done():
			}
			continue
		}
		if err := l.wait(ctx, d); err != nil {
			return Turn{}, err
		}
	}
}

// end locks the limiter for what a turn's end does.
func (t Turn) end(do func(c *controller, now time.Time)) {
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	t.l.inFlight--
	select {
	case t.l.freed <- struct{}{}:
	default:
	}
	do(t.l.c, t.l.now())
}

// Cancel gives the turn back: there was nothing to send.
func (t Turn) Cancel() { t.end(func(*controller, time.Time) {}) }

// Accepted notes that Iterable answered a request of so many profiles, and not that
// it was too large or too early.
func (t Turn) Accepted(profiles int) {
	t.end(func(c *controller, now time.Time) { c.accepted(t.sent, now, profiles) })
}

// Throttled notes that the request was answered 429, and after what pause Iterable
// wants to see the next one; 0 if it did not say.
func (t Turn) Throttled(retryAfter time.Duration) {
	t.end(func(c *controller, now time.Time) {
		c.throttled(t.sent, now)
		// The next request comes at another place in the period, so that workers do
		// not stay in step.
		shift := time.Duration(random() / (c.Rate * c.weight) * float64(time.Second))
		t.l.pacing.pause(now, max(retryAfter, c.drained.Sub(now), min(shift, patience)))
	})
}

// TooLarge notes that the request was refused for its size.
func (t Turn) TooLarge(profiles int) {
	t.end(func(c *controller, _ time.Time) { c.tooLarge(profiles) })
}

// Failed notes that the request got a 5xx or no answer, and reports whether it is
// to be made smaller.
func (t Turn) Failed(profiles int) (smaller bool) {
	t.end(func(c *controller, _ time.Time) { smaller = c.failed(profiles) })
	return smaller
}

// Rate returns the requests a second of this process.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.Rate * l.c.weight
}

// Learned returns what is known of the limits.
func (l *Limiter) Learned() Learned {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c.remembered()
}

// configure changes the settings.
func (l *Limiter) configure(set schemas.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.set != set {
		old := l.c
		l.c = newController(set, old.remembered())
		l.c.part = old.part
	}
}

// divide tells the limiter of the others that send, and what they know.
func (l *Limiter) divide(p part, joined bool, others []Learned) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.c.part = p
	if joined {
		l.c.unsettled = now.Add(2 * lookEvery)
	}
	for _, o := range others {
		l.c.adopt(o, now)
	}
}
