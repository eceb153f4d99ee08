package limits

import (
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iterable-segment-export/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Unix(1_000_000, 0)

// search lets a controller look for the largest size that a project accepts, and
// returns the sizes that it tried.
func search(c *controller, most int) (tried []int) {
	for range 100 {
		if c.sized() {
			return tried
		}
		n := min(c.size(noon), 100_000) // what fits into a body
		tried = append(tried, n)
		if n > most {
			c.tooLarge(n)
		} else {
			c.accepted(noon, noon, n)
		}
	}
	return tried
}

// The size is found by bisection: few requests are too large, whatever the limit is.
func TestSizeIsFound(t *testing.T) {
	for most, want := range map[int][2]int{100_000: {100_000, 100_000}, 5_000: {5_000, 5_000}, 7_300: {7_000, 7_000}, 1_000: {1_000, 1_000}, 300: {280, 300}, 1: {1, 1}} {
		c := newController(schemas.Limits{}, Learned{})
		tried := search(c, most)
		refused := 0
		for _, n := range tried {
			if n > most {
				refused++
			}
		}
		if n := min(c.size(noon), 100_000); n < want[0] || n > want[1] || tried[0] != startRows || refused > 12 {
			t.Errorf("a limit of %d: %d profiles after %v", most, n, tried)
		}
	}
}

// Requests of a size that failed are made smaller; small ones are tried again.
func TestFailuresMakeRequestsSmaller(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	if c.failed(startRows) {
		t.Error("the first size is given up for a 5xx")
	}
	c.accepted(noon, noon, startRows)
	if !c.failed(100_000) || c.size(noon) >= 100_000 {
		t.Errorf("a probe that failed: %d profiles next", c.size(noon))
	}
	c = newController(schemas.Limits{}, Learned{Rows: 50_000})
	smaller := []bool{c.failed(50_000), c.failed(50_000), c.failed(50_000)}
	if smaller[0] || smaller[1] || !smaller[2] || c.size(noon) >= 50_000 {
		t.Errorf("%v, then %d profiles", smaller, c.size(noon))
	}
}

// A size that makes each profile take longer is not used.
func TestGrowingTimePerProfileEndsTheGrowth(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	c.accepted(noon, noon.Add(50*time.Millisecond), startRows)
	c.accepted(noon, noon.Add(time.Minute), 50_000)
	if c.Rows != startRows || c.TooMany != 50_000 {
		t.Errorf("%+v", c.Learned)
	}
}

// A size that was found is tried again later, with one request at a time and ever
// more seldom.
func TestSizeIsProbedMoreAndMoreSeldom(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	search(c, 5_000)
	now, probes := noon, []time.Duration{}
	for range 24 * 60 {
		now = now.Add(time.Minute)
		if n := c.size(now); n > 5_000 {
			probes = append(probes, now.Sub(noon))
			if other := c.size(now); other > 5_000 {
				t.Fatal("two probes at a time")
			}
			c.tooLarge(n)
		}
	}
	if len(probes) < 3 || len(probes) > 8 {
		t.Errorf("probes in a day: %v", probes)
	}
}

func TestSettingsBoundWhatIsLearned(t *testing.T) {
	pinned := newController(schemas.Limits{RequestsPerSecond: 50, SubscribersPerRequest: 300}, Learned{})
	if pinned.own(noon) != 50 || pinned.size(noon) != 300 {
		t.Errorf("pinned: %g requests of %d", pinned.own(noon), pinned.size(noon))
	}
	capped := newController(schemas.Limits{MaxRequestsPerSecond: 8, MaxSubscribersPerRequest: 2_000}, Learned{})
	now := noon
	for range 200 {
		now = now.Add(100 * time.Millisecond)
		capped.accepted(now, now, capped.size(now))
	}
	if capped.own(now) != 8 || capped.size(now) != 2_000 {
		t.Errorf("capped: %g requests of %d", capped.own(now), capped.size(now))
	}
	pinned.throttled(noon, noon)
	if r := pinned.own(noon); r >= 50 {
		t.Errorf("a 429 leaves a pinned rate at %g", r)
	}
}

// All 429s of one overload count once, and the rate comes back.
func TestA429TakesFromTheRateForAWhile(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rows: startRows, TooMany: 2 * startRows, Rate: 20, Refused: 21, Found: true})
	now := noon.Add(time.Minute)
	if !c.throttled(now.Add(-time.Second), now) || c.throttled(now.Add(-time.Second), now) {
		t.Error("429s of one overload")
	}
	low := c.Rate
	for range 600 {
		now = now.Add(50 * time.Millisecond)
		c.accepted(now, now, startRows)
	}
	if low > 19 || c.Rate < 0.97*20 || c.Rate > 1.3*20 {
		t.Errorf("%g requests a second after the 429, %g half a minute later", low, c.Rate)
	}
}

// What a short ramp got through is not taken for a limit.
func TestOnlyARateThatLastedIsRemembered(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rows: 100_000})
	now := noon
	for range 40 {
		now = now.Add(50 * time.Millisecond)
		c.accepted(now, now, 100_000)
	}
	if c.Rate < 10 || c.remembered().Rate != startRate {
		t.Errorf("%g requests a second, and %g are remembered", c.Rate, c.remembered().Rate)
	}
}

func TestWorkersShareARate(t *testing.T) {
	for _, project := range []float64{2, 5, 20} {
		sum := map[int64]float64{}
		for rank := range 5 {
			c := newController(schemas.Limits{RequestsPerSecond: schemas.Limit(project)}, Learned{})
			c.part = part{0.2, 5, rank}
			for second := range int64(100) {
				sum[second] += c.own(noon.Add(time.Duration(second) * time.Second))
			}
		}
		for second, s := range sum {
			if math.Abs(s-project) > 1e-9 {
				t.Errorf("%g a second: after %d s all send %g", project, second, s)
			}
		}
	}
}
