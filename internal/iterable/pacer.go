package iterable

import (
	"context"
	"sync"
	"time"
)

// Pacer spaces the requests of one connection to one endpoint. Waiters get their
// turns in the order in which they came, smoothly, one each 1/rate seconds.
//
// The limit belongs to the project, and others use it too. Of further workers of
// the same deployment a pacer is told, by Pacers.Divide: each has its part, and
// takes it up at once. Of whatever else the customer runs nobody tells; there are
// only the 429s to go by. Every 429 halves the rate until a request is accepted again, and
// all 429s of one overload count as one. How the rate recovers depends on where it
// was, because plain additive increase fills a shared limit at the price of some
// 5% of 429s:
//
//   - Above half the limit it goes back to a little less than before, and climbs
//     slowly around the rate at which the 429 came, faster far from it.
//   - At half the limit and below it is a whole share of the limit, a half, a
//     third, a fourth and so on: pacers with the same limit that settle on the
//     same share use it up exactly, and then nobody gets a 429 at all. A single 429
//     does not change the share, several in a short time do, and of larger shares
//     sooner. From time to time a pacer tries whether there is more: it sends some
//     requests in pairs, so that an empty bucket refuses its own extra request
//     rather than somebody else's, and takes the next larger share if all of them
//     get through.
//
// Alone it never leaves the limit. Simulated (40 seeds, round trips of 50 to
// 300 ms, limit 5 a second; median and 9 of 10), against a token bucket with a
// burst of 5 and against a counter that starts anew each second:
//
//	                              time ÷ floor     429s             from fair share
//	alone, bucket                 1.007  1.007     0.0%  0.0%
//	alone, counter                1.025  1.158     0.2%  0.3%
//	5 × 1,000 requests, bucket    1.065  1.176     1.8%  2.1%       17%  30%
//	5 × 200 requests, bucket      1.127  1.262     3.4%  3.9%       25%  38%
//	5 × 1,000 requests, counter   1.241  1.286     2.9%  3.2%       11%  19%
//	2 × 1,000 requests, bucket    1.230  1.488     1.9%  2.1%       20%  61%
//	others take 2 a second        1.059  1.079     1.0%  1.1%
//	the same, counter             1.138  1.163     1.3%  1.4%
//
// and for workers that know of each other:
//
//	alone, bucket                 0.999  1.001     0.0%  0.0%
//	5 × 200 requests, bucket      1.001  1.005     0.1%  0.2%        2%   3%
//	5 × 1,000 requests, bucket    1.000  1.001     0.0%  0.0%        0%   1%
//	5 × 200 requests, counter     1.020  1.041     0.4%  0.7%        4%   6%
//	2 × 1,000 requests, bucket    1.002  1.003     0.0%  0.1%        0%   1%
//	others take 2 a second        1.048  1.067     1.5%  2.0%
//	5 × 200, others take 2        1.107  1.270     2.6%  3.2%       69%  80%
type Pacer struct {
	turn chan struct{} // held by the one who waits for the next slot
	now  func() time.Time
	wait func(context.Context, time.Duration) error

	mu    sync.Mutex
	limit float64 // requests a second of the whole project
	part  float64 // of limit that is for this process; 0 where nobody said
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
	return &Pacer{turn: make(chan struct{}, 1), now: time.Now, wait: pause, limit: limit, pace: newPace(limit)}
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
	parts  map[string]float64 // of connections
}

type pacerKey struct {
	connection string
	endpoint   Endpoint
}

// NewPacers makes an empty registry.
func NewPacers() *Pacers { return &Pacers{pacers: map[pacerKey]*Pacer{}, parts: map[string]float64{}} }

// For gives the pacer of the connection's endpoint, which lets at most limit
// requests a second through. A limit that has changed takes effect at once.
func (p *Pacers) For(connection string, endpoint Endpoint, limit float64) *Pacer {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pacerKey{connection, endpoint}
	pacer := p.pacers[key]
	if pacer == nil {
		pacer = newPacer(limit)
		pacer.divide(p.parts[connection], 0)
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
	if p.limit != limit {
		slot, paused := p.pace.slot, p.pace.paused
		p.pace = newPace(limit)
		p.pace.slot, p.pace.paused = slot, paused
		p.limit = limit
		p.divide(p.part, 0)
	}
}

// divide gives the pacer a part of its limit; 0 leaves it the whole. The caller
// holds the lock.
func (p *Pacer) divide(part float64, unsettled time.Duration) {
	p.part = part
	if part <= 0 {
		return
	}
	now := p.now()
	var until time.Time
	if unsettled > 0 {
		until = now.Add(unsettled)
	}
	p.pace.divide(p.limit*part, now, until)
}

// Divide gives this process a part of the connection's limits, from above 0 to 1,
// because other processes that it knows of use the rest. For the time unsettled,
// 429s are put down to those who have not heard of the division yet.
func (p *Pacers) Divide(connection string, part float64, unsettled time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[connection] = part
	for key, pacer := range p.pacers {
		if key.connection == connection {
			pacer.mu.Lock()
			pacer.divide(part, unsettled)
			pacer.mu.Unlock()
		}
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
