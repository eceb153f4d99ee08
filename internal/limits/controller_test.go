package limits

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"iterable-segment-export/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Unix(1_000_000, 0)

// next is the size of the next request.
func (c *controller) next() int {
	n, _ := c.size(noon)
	return n
}

// search lets a controller look for the largest size that a project accepts, and
// returns the sizes that it tried.
func search(c *controller, most int) (tried []int) {
	for range 30 {
		allowed := c.next()
		n := min(allowed, 100_000) // what fits into a body
		tried = append(tried, n)
		if n > most {
			c.tooLarge(noon, noon, n, allowed, 40*n)
		} else {
			c.accepted(noon, noon, n, allowed)
		}
	}
	return tried
}

// Few requests are too large, whatever the limit is.
func TestSizeIsFound(t *testing.T) {
	for most, least := range map[int]int{100_000: 100_000, 5_000: 5_000, 7_300: 6_000, 1_000: 1_000, 300: 240, 1: 1} {
		c := newController(schemas.Limits{}, Learned{})
		tried := search(c, most)
		refused := 0
		for _, n := range tried {
			if n > most {
				refused++
			}
		}
		if n := min(c.next(), 100_000); n < least || n > most || tried[0] != startRows || refused > 12 {
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
	c.accepted(noon, noon, startRows, startRows)
	if !c.failed(100_000) || c.next() >= 100_000 {
		t.Errorf("a probe that failed: %d profiles next", c.next())
	}
	c = newController(schemas.Limits{}, Learned{Rows: 50_000})
	smaller := []bool{c.failed(50_000), c.failed(50_000), c.failed(50_000)}
	if smaller[0] || smaller[1] || !smaller[2] || c.next() >= 50_000 {
		t.Errorf("%v, then %d profiles", smaller, c.next())
	}
}

// A size that makes each profile take longer is not used.
func TestGrowingTimePerProfileEndsTheGrowth(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	c.accepted(noon, noon.Add(50*time.Millisecond), startRows, startRows)
	c.accepted(noon, noon.Add(time.Minute), 50_000, 50_000)
	if c.Rows != startRows || c.TooMany != 50_000 {
		t.Errorf("%+v", c.Learned)
	}
}

// One request at a time may be too large, and what was found is tried again later,
// more and more seldom.
func TestSizeIsProbedMoreAndMoreSeldom(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	search(c, 5_000)
	now, probes := noon, []time.Duration{}
	for range 24 * 60 {
		now = now.Add(time.Minute)
		n, probe := c.size(now)
		if !probe {
			continue
		}
		probes = append(probes, now.Sub(noon))
		c.probing = true // as Limiter.next notes
		if other, again := c.size(now); again || other > 5_000 {
			t.Fatal("two probes at a time")
		}
		c.probing = false
		c.tooLarge(now, now, n, n, 40*n)
	}
	if len(probes) < 3 || len(probes) > 8 {
		t.Errorf("probes in a day: %v", probes)
	}
}

func TestSettingsBoundWhatIsLearned(t *testing.T) {
	pinned := newController(schemas.Limits{RequestsPerSecond: 50, SubscribersPerRequest: 300}, Learned{})
	if pinned.own() != 50 || pinned.next() != 300 {
		t.Errorf("pinned: %g requests of %d", pinned.own(), pinned.next())
	}
	capped := newController(schemas.Limits{MaxRequestsPerSecond: 8, MaxSubscribersPerRequest: 2_000}, Learned{})
	now := noon
	for range 200 {
		now = now.Add(100 * time.Millisecond)
		capped.accepted(now, now, capped.next(), capped.next())
	}
	if capped.own() != 8 || capped.next() != 2_000 {
		t.Errorf("capped: %g requests of %d", capped.own(), capped.next())
	}
	pinned.throttled(noon, noon)
	if r := pinned.own(); r >= 50 || r < 40 {
		t.Errorf("a 429 leaves a pinned rate at %g", r)
	}
}

// answered lets a controller accept requests for a while, and returns its highest rate.
func answered(c *controller, from time.Time, d time.Duration) (highest float64) {
	for now := from; now.Before(from.Add(d)); now = now.Add(50 * time.Millisecond) {
		c.accepted(now, now, startRows, startRows)
		highest = max(highest, c.Rate)
	}
	return highest
}

// All 429s of one overload count once. After a while a little more is tried, and a 429
// ends that and makes the next try later.
func TestA429EndsATry(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rows: startRows, TooMany: startRows + 1, Rate: 20, Found: true})
	if high := answered(c, noon, firstHold); high != 20 {
		t.Errorf("%g requests a second before the first try", high)
	}
	now := noon.Add(firstHold + 2*time.Second)
	answered(c, now, time.Second)
	if want := 20 * (1 + firstStep); c.Rate != want {
		t.Fatalf("%g requests a second are tried, want %g", c.Rate, want)
	}
	now = now.Add(2 * time.Second)
	pause := c.throttled(now.Add(-time.Millisecond), now)
	c.throttled(now.Add(-time.Millisecond), now)
	if c.Rate != 20 || c.Hold != 2*firstHold || pause != stepPause {
		t.Errorf("%g requests a second after it, for %v, after a pause of %v", c.Rate, c.Hold, pause)
	}
}

// The rate rises with the time of sending, and what a short run got through is not taken for a
// limit.
func TestRateRises(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rows: startRows, TooMany: startRows + 1})
	now := noon
	for now.Sub(noon) < 3*time.Second {
		now = now.Add(time.Duration(float64(time.Second) / c.Rate))
		c.accepted(now, now, startRows, startRows)
	}
	if c.Rate < 2.8*rise || c.Rate > startRate+3*rise || c.remembered().Rate > c.Rate/2 {
		t.Errorf("%g requests a second, and %g are remembered", c.Rate, c.remembered().Rate)
	}
	before := c.Rate
	now = now.Add(time.Hour)
	if c.accepted(now, now, startRows, startRows); c.Rate > before+3*rise/before {
		t.Errorf("%g requests a second after an hour without any", c.Rate)
	}
}

// A project with the documented limit refuses none of ten small lists, however soon it answers, also
// if it knows each of them only at the fourth request. The rate rises if there are more.
func TestSmallListsFitIntoTheFirstRate(t *testing.T) {
	c, bucket, now := newController(schemas.Limits{}, Learned{}), rate.NewLimiter(startRate, startRate), noon
	for i := range 40 {
		c.sending(now)
		if !bucket.AllowN(now, 1) {
			t.Fatalf("request %d is refused after %v", i+1, now.Sub(noon))
		}
		if i%4 == 3 {
			c.accepted(now, now.Add(time.Millisecond), 3, startRows)
		}
		now = now.Add(time.Duration(float64(time.Second) / c.own()))
	}
	for range 10 {
		c.sending(now)
		c.accepted(now, now.Add(time.Millisecond), 3, startRows)
		now = now.Add(time.Duration(float64(time.Second) / c.own()))
	}
	if c.Rate < 1.5*startRate {
		t.Errorf("%g requests a second after twenty lists", c.Rate)
	}
}

// The first 429 shows the limit, whatever the bucket let through before, and however long
// nothing was sent.
func TestTheFirst429ShowsTheLimit(t *testing.T) {
	for _, limit := range []float64{20, 60, 100} {
		for _, share := range []float64{1, 0.5} {
			c := newController(schemas.Limits{}, Learned{Rows: startRows, TooMany: startRows + 1})
			c.share = share
			bucket, now := rate.NewLimiter(rate.Limit(limit*share), int(limit*share)), noon.Add(-time.Hour)
			for range 10 {
				c.sending(now)
				bucket.AllowN(now, 1)
			}
			for now = noon; bucket.AllowN(now, 1); now = now.Add(time.Duration(float64(time.Second) / c.own())) {
				c.sending(now)
				c.accepted(now, now, startRows, startRows)
			}
			before := c.Rate
			pause := c.throttled(now, now)
			if pause == 0 || math.Abs(c.Rate-limit) > limit/10 || c.Rate > before*mostLeft || c.remembered().Rate != c.Rate {
				t.Errorf("a limit of %g, share %g: %g requests a second after %g, and a pause of %v", limit, share, c.Rate, before, pause)
			}
			before = c.Rate
			if c.throttled(now, now); c.Rate != before*missedCut {
				t.Errorf("%g requests a second after the next 429", c.Rate)
			}
		}
	}
}

// A rate was remembered that no 429 has ended. Others have used up the project's bucket when the
// next run begins: that is no reason to go down to less than one request a second.
func TestAnEmptyBucketShowsNoLimit(t *testing.T) {
	for sent := range 5 {
		c, now := newController(schemas.Limits{}, Learned{Rate: 50, Rows: startRows, TooMany: startRows + 1}), noon
		for range sent {
			c.sending(now)
			c.accepted(now, now, startRows, startRows)
			now = now.Add(20 * time.Millisecond)
		}
		c.sending(now)
		if c.throttled(now, now); c.Rate < startRate || c.Rate > 25 {
			t.Errorf("%g requests a second if number %d is refused", c.Rate, sent+1)
		}
	}
}

// While the first large request is in progress, others wait for a while. If it was not refused
// by then, more large ones are sent.
func TestRequestsWaitForTheFirstLargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(schemas.Limits{}, Learned{})
		next := func() (Turn, time.Duration) {
			began := time.Now()
			turn, err := l.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return turn, time.Since(began)
		}
		first, _ := next()
		first.Accepted(startRows)
		large, _ := next()
		time.AfterFunc(growthWait/2, func() { large.TooLarge(100_000, 4_000_000) })
		if turn, waited := next(); turn.Profiles >= 98_000 || waited >= growthWait {
			t.Errorf("a request of %d profiles after %v", turn.Profiles, waited)
		}
		l = newLimiter(schemas.Limits{}, Learned{})
		first, _ = next()
		first.Accepted(startRows)
		next() // is not answered
		if turn, waited := next(); turn.Profiles < 98_000 || waited != growthWait {
			t.Errorf("a request of %d profiles after %v", turn.Profiles, waited)
		}
		l = newLimiter(schemas.Limits{}, Learned{})
		first, _ = next()
		first.Accepted(500) // a small list
		next()
		if _, waited := next(); waited >= growthWait {
			t.Errorf("a small list waits %v for another one", waited)
		}
	})
}

// Before the size is found, the rate stays.
func TestRequestsBecomeLargerFirst(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	c.accepted(noon, noon, startRows, startRows)
	if c.Rate != startRate || c.next() != growth*startRows {
		t.Errorf("%g requests a second of %d", c.Rate, c.next())
	}
	c.accepted(noon, noon.Add(time.Second), 98*startRows, growth*startRows) // as much as a body holds
	if c.Rate == startRate {
		t.Error("the rate does not grow")
	}
}

// A request that is too large was not answered 429, so the rate grows while the search for
// the size goes on; after a failure it does not.
func TestTheRateGrowsWithRefusedSizes(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	c.accepted(noon, noon, startRows, startRows)
	c.failed(growth * startRows)
	if c.Rate != startRate || c.TooMany != growth*startRows {
		t.Errorf("%g requests a second after a failure, %+v", c.Rate, c.Learned)
	}
	if c.tooLarge(noon, noon.Add(time.Second), 10*startRows, 10*startRows, 400_000); c.Rate <= startRate {
		t.Errorf("%g requests a second after a size was refused", c.Rate)
	}
}

// If the first rate is far too high, two 429s are enough to find that out.
func TestAFirstRateThatIsFarTooHigh(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{})
	if pause := c.throttled(noon, noon); pause != lowPause || c.Rate != startRate*firstCut {
		t.Errorf("%g requests a second after the first 429, and a pause of %v", c.Rate, pause)
	}
	before := c.Rate
	if c.throttled(noon, noon); c.Rate != before*secondCut {
		t.Errorf("%g requests a second after the second 429", c.Rate)
	}
	before = c.Rate
	if c.throttled(noon, noon); c.Rate != before*cut {
		t.Errorf("%g requests a second after the third 429", c.Rate)
	}
}

// Workers at the same rate send in turn.
func TestWorkersShareAPeriod(t *testing.T) {
	for i := range 5 {
		c := newController(schemas.Limits{RequestsPerSecond: 2}, Learned{})
		c.part = part{0.2, float64(i) / 5}
		next := c.slot(noon)
		if got := next.Sub(noon) % (2500 * time.Millisecond); got.Round(time.Millisecond) != time.Duration(i)*500*time.Millisecond {
			t.Errorf("worker %d sends %v after the period's beginning", i, got)
		}
	}
}

// A number in the settings holds, whatever was learned before it was set.
func TestAPinnedRateIsNotBoundByWhatWasLearned(t *testing.T) {
	learned := Learned{Rate: 5, Found: true, Changes: 9, Rows: 20_000}
	c := newController(schemas.Limits{RequestsPerSecond: 50}, learned)
	c.adopt(learned, noon)
	if c.Rate != 50 || c.Rows != 20_000 {
		t.Errorf("%g requests a second of %d", c.Rate, c.Rows)
	}
	c.throttled(noon, noon)
	again := newController(schemas.Limits{RequestsPerSecond: 50}, c.remembered())
	if again.Rate != 50*cut {
		t.Errorf("after a 429 and a restart: %g", again.Rate)
	}
}

// Workers whose rates grow approach each other's, but a rate that was found is copied.
func TestGrowingRatesApproachEachOther(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rate: 20})
	c.adopt(Learned{Rate: 40}, noon)
	if c.Rate != 30 || c.Found {
		t.Errorf("%g requests a second", c.Rate)
	}
	c.adopt(Learned{Rate: 12, Found: true, Changes: 1}, noon)
	c.adopt(Learned{Rate: 40}, noon)
	if c.Rate != 12 {
		t.Errorf("%g requests a second after one was found", c.Rate)
	}
	if c.adopt(Learned{Rate: 16, Found: true, Changes: 1}, noon); c.Rate != 14 {
		t.Errorf("%g requests a second after two calculated different limits", c.Rate)
	}
}

// Starting again and again does not lose what is known.
func TestARateThatWasNotFoundIsRememberedAsItWas(t *testing.T) {
	known := Learned{Rate: 200, Rows: startRows}
	for range 6 {
		known = newController(schemas.Limits{}, known).remembered()
	}
	if known.Rate != 200 {
		t.Errorf("%g requests a second are left", known.Rate)
	}
}

// A limit that has fallen far below what is remembered is found within few requests.
func TestALimitThatHasFallenIsFoundSoon(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rate: 100, Found: true, Changes: 1, Rows: startRows, TooMany: startRows + 1})
	now, cuts := noon, 0
	for ; c.Rate > 2; cuts++ {
		now = now.Add(time.Second)
		c.throttled(now, now)
	}
	if cuts > 10 {
		t.Errorf("%d cuts", cuts)
	}
	c.accepted(now, now, startRows, startRows)
	before := c.Rate
	if c.throttled(now, now); c.Rate != before*cut {
		t.Errorf("one 429 after an acceptance leaves %g of %g", c.Rate, before)
	}
}

// While workers divide the rate again, the first 429 counts: an upload may end before they
// have.
func TestOf429sWhileWorkersDivideTheRateTheFirstCounts(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rate: 20, Found: true, Rows: startRows})
	c.unsettled = noon.Add(lookEvery)
	c.throttled(noon, noon)
	c.throttled(noon.Add(time.Second), noon.Add(time.Second))
	if c.Rate != 20*cut {
		t.Errorf("%g requests a second", c.Rate)
	}
}

// Few long rows that are too large together say how long a body may be, and nothing of
// how many rows.
func TestFewLongRowsTeachBytes(t *testing.T) {
	c := newController(schemas.Limits{}, Learned{Rows: 20_000, TooMany: 25_000})
	c.tooLarge(noon, noon, 97, 20_000, 4_000_000)
	if c.Rows != 20_000 || c.TooMany != 25_000 || c.bytes(noon) != 2_000_000 {
		t.Errorf("%+v", c.Learned)
	}
	if c.bytes(noon.Add(probeAfter+1)) != 0 {
		t.Error("a larger body is never tried again")
	}
}
