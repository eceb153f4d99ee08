package limits

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/schemas"
)

// Hidden are the limits of a simulated project, which its clients are not told,
// and the work to be done.
type Hidden struct {
	Rate       float64 // requests a second
	Rows       int     // profiles in a request; 0 is no limit
	BodyRows   int     // profiles that fit into a body
	PerProfile time.Duration
	Others     float64 // requests a second that others make
	Workers    int
	Profiles   int
	Known      Learned // remembered by every worker
	Told       bool    // the clients know the limits: what there is to compare with
	Seed       uint64
}

// Outcome is what came of a simulation.
type Outcome struct {
	Took                time.Duration
	Requests, Throttled int
	// WorstMinute is the largest share of the requests of a minute, or of the whole
	// run where it is shorter, that were answered 429.
	WorstMinute float64
	Learned     Learned
}

// simulated is one worker.
type simulated struct {
	*controller
	pacing
	inFlight int
	waiting  bool
}

type event struct {
	at  time.Time
	act func()
	nth int
}

type events []event

// shift moves the phase of the requests, so that workers do not stay in step.
func (w *simulated) shift(now time.Time, by float64) {
	w.pacing.pause(now, time.Duration(by*float64(time.Second)/(w.Rate*w.weight)))
}

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].nth < q[j].nth
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any     { o := *q; e := o[len(o)-1]; *q = o[:len(o)-1]; return e }

// Simulate runs workers against a project with hidden limits, in virtual time: the
// controllers as they are, a network with round trips of 50 to 150 ms, and a token
// bucket of one second's requests.
func Simulate(h Hidden) Outcome {
	random := rand.New(rand.NewPCG(h.Seed, 1))
	start := time.Unix(1_000_000, 0)
	now := start
	var queue events
	nth := 0
	at := func(t time.Time, act func()) { nth++; heap.Push(&queue, event{t, act, nth}) }
	server := rate.NewLimiter(rate.Limit(h.Rate), max(1, int(h.Rate)))
	half := func() time.Duration {
		return 25*time.Millisecond + time.Duration(random.Int64N(int64(50*time.Millisecond)))
	}
	var out Outcome
	left, open := h.Profiles, h.Profiles // not taken, not acknowledged
	type answered struct {
		at        time.Time
		throttled bool
	}
	var answers []answered

	if h.Others > 0 {
		var others func()
		others = func() {
			server.AllowN(now, 1)
			if open > 0 {
				at(now.Add(time.Duration(float64(time.Second)/h.Others)), others)
			}
		}
		at(now, others)
	}
	workers := make([]*simulated, h.Workers)
	var wake func(*simulated)
	answer := func(w *simulated, sent time.Time, rows int, status int) {
		w.inFlight--
		answers = append(answers, answered{now, status == 429})
		switch status {
		case 429:
			out.Throttled++
			left += rows
			w.throttled(sent, now)
			w.pacing.pause(now, w.drained.Sub(now))
			w.shift(now, random.Float64())
		case 413:
			left += rows
			w.tooLarge(rows)
		default:
			open -= rows
			w.accepted(sent, now, rows)
		}
		if open == 0 {
			out.Took = now.Sub(start)
		}
		for _, w := range workers {
			wake(w)
		}
	}
	var send func(*simulated)
	send = func(w *simulated) {
		if wait := w.ready(now, w.own(now)); wait > 0 && left > 0 {
			at(now.Add(wait), func() { send(w) })
			return
		}
		w.waiting = false
		rows := min(w.size(now), left, h.BodyRows)
		if rows == 0 {
			return
		}
		left -= rows
		w.inFlight++
		out.Requests++
		sent := now
		at(now.Add(half()), func() {
			status, takes := 200, time.Duration(rows)*h.PerProfile
			switch {
			case !server.AllowN(now, 1):
				status, takes = 429, 0
			case h.Rows > 0 && rows > h.Rows:
				status, takes = 413, 0
			}
			at(now.Add(half()+takes), func() { answer(w, sent, rows, status) })
		})
		wake(w)
	}
	wake = func(w *simulated) {
		if w.waiting || left == 0 || w.inFlight >= inFlight(w.size(now)) {
			return
		}
		w.waiting = true
		send(w)
	}
	for i := range workers {
		set := schemas.Limits{}
		if h.Told {
			set.RequestsPerSecond, set.SubscribersPerRequest = schemas.Limit(h.Rate-h.Others), schemas.Limit(h.Rows)
			if h.Rows == 0 {
				set.SubscribersPerRequest = schemas.Limit(h.BodyRows)
			}
		}
		c := newController(set, h.Known)
		c.part = part{1 / float64(h.Workers), h.Workers, i}
		workers[i] = &simulated{controller: c, pacing: pacing{rate.NewLimiter(rate.Limit(c.Rate*c.weight), 1), now}}
		workers[i].shift(now, random.Float64())
	}
	var look func()
	every := firstLook
	look = func() {
		for _, w := range workers {
			for _, other := range workers {
				w.adopt(other.Learned, now)
			}
			wake(w)
		}
		if open > 0 && h.Workers > 1 {
			at(now.Add(every), look)
			every = min(2*every, lookEvery)
		}
	}
	at(now, look)
	for len(queue) > 0 && open > 0 && now.Sub(start) < 24*time.Hour {
		e := heap.Pop(&queue).(event)
		now = e.at
		e.act()
	}
	for i, j := 0, 0; j < len(answers); j++ {
		for answers[j].at.Sub(answers[i].at) > time.Minute {
			i++
		}
		throttled := 0
		for _, a := range answers[i : j+1] {
			if a.throttled {
				throttled++
			}
		}
		if full := answers[j].at.Sub(answers[0].at) >= time.Minute; full || j == len(answers)-1 {
			out.WorstMinute = math.Max(out.WorstMinute, float64(throttled)/float64(j+1-i))
		}
	}
	out.Learned = workers[0].remembered()
	return out
}

// Share429 is the share of the requests that were answered 429.
func (o Outcome) Share429() float64 { return float64(o.Throttled) / float64(max(1, o.Requests)) }
