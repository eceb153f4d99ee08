package iterable

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// A discrete-event simulation of pacers that share a project's limit, in virtual
// time: the pace as it is, a network with random latency, and a server that
// answers 429 by one of two rules.

// simServer decides whether a request that arrives now is taken.
type simServer interface{ take(now time.Duration) bool }

// bucket is a token bucket: rate a second, at most burst at once. Refusals cost
// nothing.
type bucket struct {
	rate, burst, level float64
	at                 time.Duration
}

func (b *bucket) take(now time.Duration) bool {
	b.level = min(b.burst, b.level+b.rate*(now-b.at).Seconds())
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// window takes rate requests in each second of the clock.
type window struct {
	rate  int
	phase time.Duration
	now   time.Duration
	taken int
}

func (w *window) take(now time.Duration) bool {
	if k := (now + w.phase) / time.Second; k != w.now {
		w.now, w.taken = k, 0
	}
	w.taken++
	return w.taken <= w.rate
}

// simClient is one process: so many requests to get accepted from a moment on.
type simClient struct {
	pace     *pace
	start    time.Duration
	todo     int // not yet sent, refused ones included
	left     int // not yet accepted
	inFlight int
	most     int
	waking   bool

	sent, throttled int
	done            time.Duration // 0 while not
	others, looks   int           // as last seen by a client that shares by agreement
	// fixed sends at its rate whatever the answers, for ever.
	fixed bool
}

type simEvent struct {
	at   time.Duration
	seq  int
	kind int // 0 wake, 1 arrival, 2 answer, 3 look at who else sends
	who  *simClient
	sent time.Duration
	ok   bool
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any     { o := *q; e := o[len(o)-1]; *q = o[:len(o)-1]; return e }

type sim struct {
	rng     *rand.Rand
	server  simServer
	clients []*simClient
	queue   simQueue
	seq     int
	now     time.Duration
	// latency is the round trip's bounds; late is how late a timer can fire.
	latency [2]time.Duration
	late    time.Duration
	// storm answers everything 429 between two moments.
	storm [2]time.Duration
	trace func(now time.Duration)
	// divided clients know of each other, as workers of one deployment do.
	divided bool
}

// look is what package roster does: a client sees who else sends, often at first
// and then every few seconds.
func (s *sim) look(c *simClient) {
	if c.done > 0 {
		return
	}
	others := -1
	for _, other := range s.clients {
		if !other.fixed && other.start <= s.now && other.done == 0 {
			others++
		}
	}
	now := simEpoch.Add(s.now)
	var unsettled time.Time
	if others > c.others || c.looks == 0 && others > 0 {
		unsettled = now.Add(2 * simLookEvery)
	}
	if c.looks == 0 || others != c.others {
		c.pace.divide(5/float64(1+others), now, unsettled)
	}
	c.others = others
	every := min(simLookEvery, simLookEvery/16<<min(c.looks, 8))
	c.looks++
	s.push(simEvent{at: s.now + every, kind: 3, who: c})
}

const simLookEvery = 3 * time.Second

var simEpoch = time.Unix(1_000_000, 0)

func (s *sim) push(e simEvent) {
	s.seq++
	e.seq = s.seq
	heap.Push(&s.queue, e)
}

func (s *sim) half() time.Duration {
	lo, hi := s.latency[0]/2, s.latency[1]/2
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)+1))
}

// wake plans the client's next sending.
func (s *sim) wake(c *simClient) {
	if c.waking || c.todo == 0 || c.inFlight >= c.most {
		return
	}
	c.waking = true
	at := max(s.now, c.pace.next().Sub(simEpoch))
	if at > s.now && s.late > 0 {
		at += time.Duration(s.rng.Int64N(int64(s.late)))
	}
	s.push(simEvent{at: at, who: c})
}

// run goes on until every client but the fixed ones is done, or for ever long.
func (s *sim) run(limit time.Duration) {
	running := 0
	for _, c := range s.clients {
		c.left = c.todo
		if !c.fixed {
			running++
		}
		c.waking = true
		if s.divided && !c.fixed {
			s.push(simEvent{at: c.start, kind: 3, who: c})
		}
		s.push(simEvent{at: c.start, who: c})
	}
	for running > 0 && len(s.queue) > 0 && s.now < limit {
		e := heap.Pop(&s.queue).(simEvent)
		s.now = e.at
		if s.trace != nil {
			s.trace(s.now)
		}
		c, now := e.who, simEpoch.Add(e.at)
		switch e.kind {
		case 0:
			c.waking = false
			if c.fixed {
				s.push(simEvent{at: s.now + s.half(), kind: 1, who: c, sent: s.now})
				c.waking = true
				s.push(simEvent{at: s.now + c.pace.interval(), who: c})
				c.sent++
				continue
			}
			if c.pace.next().After(now) {
				s.wake(c)
				continue
			}
			c.pace.take(now)
			c.todo--
			c.inFlight++
			c.sent++
			s.push(simEvent{at: s.now + s.half(), kind: 1, who: c, sent: s.now})
			s.wake(c)
		case 3:
			s.look(c)
			s.wake(c)
		case 1:
			ok := s.server.take(s.now) && !(s.now >= s.storm[0] && s.now < s.storm[1])
			s.push(simEvent{at: s.now + s.half(), kind: 2, who: c, sent: e.sent, ok: ok})
		case 2:
			if !e.ok {
				c.throttled++
			}
			if c.fixed {
				continue
			}
			c.inFlight--
			if e.ok {
				c.left--
				c.pace.accepted(simEpoch.Add(e.sent), now)
				if c.left == 0 {
					c.done = s.now
					running--
				}
			} else {
				c.todo++
				c.pace.throttled(simEpoch.Add(e.sent), now, 0)
			}
			s.wake(c)
		}
	}
}

// figures sums a simulation up.
type figures struct {
	ratio     float64 // time of all against the floor
	throttled float64 // share of requests answered 429
	unfair    float64 // largest distance from the fair share, when the first is done
}

// simulate runs n pacers with so many requests each against the server. The
// floor is at rate, what the server leaves to them.
func simulate(seed uint64, n, each int, spread time.Duration, server func(*rand.Rand) simServer, rate float64, other float64, divided bool) figures {
	rng := rand.New(rand.NewPCG(seed, 7))
	s := &sim{rng: rng, server: server(rng), latency: [2]time.Duration{50 * time.Millisecond, 300 * time.Millisecond}, late: 2 * time.Millisecond, divided: divided}
	for range n {
		start := time.Duration(0)
		if spread > 0 {
			start = time.Duration(rng.Int64N(int64(spread)))
		}
		s.clients = append(s.clients, &simClient{pace: simPace(rng), start: start, todo: each, most: 16})
	}
	mine := s.clients
	if other > 0 {
		p := newPace(other)
		p.rate = other
		s.clients = append(s.clients, &simClient{pace: p, todo: 1, most: 1, fixed: true, start: time.Duration(rng.Int64N(int64(time.Second)))})
	}
	first := math.MaxFloat64
	shares := make([]float64, n)
	s.trace = func(time.Duration) {
		if first < math.MaxFloat64 {
			return
		}
		for _, c := range mine {
			if c.left == 0 && c.done > 0 {
				first = c.done.Seconds()
				for i, c := range mine {
					shares[i] = float64(each - c.left)
				}
			}
		}
	}
	s.run(24 * time.Hour)
	var f figures
	var end time.Duration
	sent, throttled := 0, 0
	for _, c := range mine {
		end = max(end, c.done)
		sent += c.sent
		throttled += c.throttled
	}
	f.ratio = end.Seconds() * rate / float64(n*each)
	f.throttled = float64(throttled) / float64(sent)
	if first < math.MaxFloat64 {
		sum := 0.0
		for _, v := range shares {
			sum += v
		}
		for _, v := range shares {
			f.unfair = max(f.unfair, math.Abs(v/(sum/float64(n))-1))
		}
	}
	return f
}

func gcra(*rand.Rand) simServer { return &bucket{rate: 5, burst: 5, level: 5} }

func fixedWindow(rng *rand.Rand) simServer {
	return &window{rate: 5, phase: time.Duration(rng.Int64N(int64(time.Second)))}
}

// simPace is a pace whose chance is the simulation's.
func simPace(rng *rand.Rand) *pace {
	p := newPace(5)
	p.random = rng.Float64
	return p
}
