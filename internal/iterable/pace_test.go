package iterable

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPaceInSimulation runs the pace in virtual time, each case from the same
// 40 seeds, prints what came out and asserts on the medians. The bounds pin what
// was reached, so that a change which loses ground is seen; not all of them are
// where one would like to have them (see Pacer).
func TestPaceInSimulation(t *testing.T) {
	for _, tt := range []struct {
		name        string
		n, each     int
		server      func(*rand.Rand) simServer
		left, other float64 // requests a second left for us, and taken by others
		ratio       float64 // of the floor time
		throttled   float64 // of all requests
		unfair      float64 // from the fair share when the first is done
		divided     bool    // the processes know of each other
	}{
		{"alone, bucket", 1, 1000, gcra, 5, 0, 1.02, 0, 0, false},
		{"alone, window", 1, 1000, fixedWindow, 5, 0, 1.08, 0.005, 0, false},
		{"5 processes of 1,000 requests, bucket", 5, 1000, gcra, 5, 0, 1.09, 0.02, 0.20, false},
		{"5 processes of 200 requests, bucket", 5, 200, gcra, 5, 0, 1.20, 0.04, 0.30, false},
		{"5 processes of 1,000 requests, window", 5, 1000, fixedWindow, 5, 0, 1.25, 0.035, 0.20, false},
		{"2 processes of 1,000 requests, bucket", 2, 1000, gcra, 5, 0, 1.30, 0.025, 0.25, false},
		{"others take 2 of 5, bucket", 1, 1000, gcra, 3, 2, 1.08, 0.03, 0, false},
		{"others take 2 of 5, window", 1, 1000, fixedWindow, 3, 2, 1.18, 0.03, 0, false},
		{"known to be alone, bucket", 1, 200, gcra, 5, 0, 1.005, 0, 0, true},
		{"known to be alone, others take 2 of 5, bucket", 1, 200, gcra, 3, 2, 1.10, 0.03, 0, true},
		{"5 workers of 200 requests, bucket", 5, 200, gcra, 5, 0, 1.03, 0.02, 0.05, true},
		{"5 workers of 1,000 requests, bucket", 5, 1000, gcra, 5, 0, 1.02, 0.01, 0.05, true},
		{"5 workers of 200 requests, window", 5, 200, fixedWindow, 5, 0, 1.05, 0.01, 0.10, true},
		{"2 workers of 1,000 requests, bucket", 2, 1000, gcra, 5, 0, 1.02, 0.01, 0.05, true},
		{"5 workers, others take 2 of 5, bucket", 5, 200, gcra, 3, 2, 1.15, 0.03, 0.75, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ratio, throttled, unfair []float64
			for seed := range uint64(40) {
				spread := 2 * time.Second
				if tt.n == 1 {
					spread = 0
				}
				f := simulate(seed, tt.n, tt.each, spread, tt.server, tt.left, tt.other, tt.divided)
				ratio, throttled, unfair = append(ratio, f.ratio), append(throttled, f.throttled), append(unfair, f.unfair)
			}
			r, h, u := quantile(ratio, 0.5), quantile(throttled, 0.5), quantile(unfair, 0.5)
			t.Logf("time %.3f × floor (9 of 10 within %.3f), 429s %.2f%% (%.2f%%), from the fair share %.0f%% (%.0f%%)",
				r, quantile(ratio, 0.9), 100*h, 100*quantile(throttled, 0.9), 100*u, 100*quantile(unfair, 0.9))
			if r > tt.ratio || h > tt.throttled || u > tt.unfair {
				t.Errorf("want time %.2f, 429s %.2f%%, unfairness %.0f%%", tt.ratio, 100*tt.throttled, 100*tt.unfair)
			}
		})
	}
}

func quantile(v []float64, q float64) float64 {
	slices.Sort(v)
	return v[int(q*float64(len(v)-1))]
}

func TestPaceRecoversFromAStorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &sim{rng: rng, server: gcra(rng), latency: [2]time.Duration{50 * time.Millisecond, 300 * time.Millisecond},
		storm: [2]time.Duration{20 * time.Second, 80 * time.Second}}
	c := &simClient{pace: simPace(rng), todo: 3000, most: 16}
	s.clients = []*simClient{c}
	s.run(time.Hour)
	t.Logf("%d requests refused, done after %s", c.throttled, c.done)
	if c.done == 0 || c.pace.rate != 5 || c.throttled > 40 {
		t.Errorf("done after %s at %v a second, %d refused", c.done, c.pace.rate, c.throttled)
	}
}

func TestOneOverloadCountsOnce(t *testing.T) {
	p := newPace(5)
	now := simEpoch
	p.take(now)
	later := now.Add(time.Second)
	if !p.throttled(now, later, 0) {
		t.Error("the first 429 does not count")
	}
	halved := p.rate
	if p.throttled(now, later.Add(time.Second), 0) || p.rate != halved {
		t.Error("a 429 of a request that had left before the cut counts again")
	}
}

func TestRetryAfterStopsTheWholeBucket(t *testing.T) {
	p := newPace(5)
	now := simEpoch
	p.take(now)
	p.throttled(now, now, 30*time.Second)
	if got := p.next().Sub(now); got != 30*time.Second {
		t.Errorf("next slot after %s, want 30 s", got)
	}
	p.throttled(now, now, time.Second)
	if got := p.next().Sub(now); got != 30*time.Second {
		t.Errorf("next slot after %s: a shorter pause took the longer one back", got)
	}
}

// TestLateTimersCostNothing shows that slots keep their distance from each
// other and not from when a request really left, and that an idle pacer saves
// nothing up.
func TestLateTimersCostNothing(t *testing.T) {
	p := newPace(5)
	p.rate, p.full = 5, simEpoch
	start := simEpoch
	p.take(start)
	for i := 1; i <= 1000; i++ {
		at := p.next()
		if want := start.Add(time.Duration(i) * 200 * time.Millisecond); !at.Equal(want) {
			t.Fatalf("slot %d at %s, want %s", i, at.Sub(start), want.Sub(start))
		}
		p.take(at.Add(time.Duration(i%150) * time.Millisecond))
	}
	idle := p.next().Add(time.Hour)
	p.take(idle)
	if d := p.next().Sub(idle); d != 200*time.Millisecond {
		t.Errorf("after an hour's rest the second request leaves after %s", d)
	}
}

func TestHostileAnswersKeepThePaceSane(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 200 {
		p := simPace(rng)
		now := simEpoch
		for range 500 {
			now = now.Add(time.Duration(rng.Int64N(int64(3 * time.Second))))
			if !p.next().After(now) {
				p.take(now)
			}
			switch sent := now.Add(-time.Duration(rng.Int64N(int64(time.Minute)))); rng.IntN(3) {
			case 0:
				p.throttled(sent, now, 0)
			case 1:
				p.throttled(now, now, 0)
			default:
				p.accepted(now, now)
			}
			if !(p.rate > 0 && p.rate <= 5) {
				t.Fatalf("rate %v: %+v", p.rate, p)
			}
		}
	}
}
