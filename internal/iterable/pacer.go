package iterable

import (
	"context"
	"sync"
	"time"
)

// Pacer spaces the requests of one connection to one endpoint.
type Pacer struct {
	turn chan struct{} // held by the one who waits for the next slot
	now  func() time.Time
	wait func(context.Context, time.Duration) error

	mu    sync.Mutex
	pace  *pace
	stats PacerStats
}

// PacerStats counts what a pacer has seen since the process started.
type PacerStats struct {
	// Requests were let through, Throttled of them answered 429, which slowed the
	// pace down Cuts times.
	Requests, Throttled, Cuts int64
}

func newPacer(limit float64) *Pacer {
	return &Pacer{turn: make(chan struct{}, 1), now: time.Now, wait: pause, pace: newPace(limit)}
}

// Turn is the right to send one request. Say what became of it with Accepted or
// Throttled; where there was no answer, with neither.
type Turn struct {
	p    *Pacer
	sent time.Time
}

// Wait gives the next turn, first come, first served. It returns the context's
// error once that ends.
func (p *Pacer) Wait(ctx context.Context) (Turn, error) {
	select {
	case p.turn <- struct{}{}: // the runtime serves senders in their order
	case <-ctx.Done():
		return Turn{}, ctx.Err()
	}
	defer func() { <-p.turn }()
	for {
		if err := ctx.Err(); err != nil {
			return Turn{}, err
		}
		p.mu.Lock()
		now := p.now()
		d := p.pace.next().Sub(now)
		if d <= 0 {
			p.pace.take(now)
			p.stats.Requests++
			p.mu.Unlock()
			return Turn{p, now}, nil
		}
		p.mu.Unlock()
		// The slot can move while this waits, so it is looked at again afterwards.
		if err := p.wait(ctx, d); err != nil {
			return Turn{}, err
		}
	}
}

// Accepted says that the request was not throttled.
func (t Turn) Accepted() {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.p.pace.accepted(t.sent, t.p.now())
}

// Throttled says that the request was answered 429, and after what pause
// Iterable wants to see the next one; 0 if it did not say.
func (t Turn) Throttled(retryAfter time.Duration) {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.p.stats.Throttled++
	if t.p.pace.throttled(t.sent, t.p.now(), retryAfter) {
		t.p.stats.Cuts++
	}
}

// Rate is the current pace in requests a second.
func (p *Pacer) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pace.rate
}

// Stats gives the counts so far.
func (p *Pacer) Stats() PacerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Pacers is a process's registry of pacers: one for each connection and
// endpoint, so that all uploads over a connection share its pace.
type Pacers struct {
	mu     sync.Mutex
	pacers map[pacerKey]*Pacer
}

type pacerKey struct {
	connection string
	endpoint   Endpoint
}

// NewPacers makes an empty registry.
func NewPacers() *Pacers { return &Pacers{pacers: map[pacerKey]*Pacer{}} }

// For gives the pacer of the connection's endpoint, which lets at most limit
// requests a second through. A limit that has changed takes effect at once.
func (p *Pacers) For(connection string, endpoint Endpoint, limit float64) *Pacer {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pacerKey{connection, endpoint}
	pacer := p.pacers[key]
	if pacer == nil {
		pacer = newPacer(limit)
		p.pacers[key] = pacer
		return pacer
	}
	pacer.setLimit(limit)
	return pacer
}

// setLimit changes the limit. The pacer starts to learn afresh if it changed.
func (p *Pacer) setLimit(limit float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pace.limit != limit {
		slot, paused := p.pace.slot, p.pace.paused
		p.pace = newPace(limit)
		p.pace.slot, p.pace.paused = slot, paused
	}
}

// Each calls f for every pacer there is, for metrics.
func (p *Pacers) Each(f func(connection string, endpoint Endpoint, pacer *Pacer)) {
	p.mu.Lock()
	copied := make(map[pacerKey]*Pacer, len(p.pacers))
	for k, v := range p.pacers {
		copied[k] = v
	}
	p.mu.Unlock()
	for k, v := range copied {
		f(k.connection, k.endpoint, v)
	}
}
