package limits

import (
	"math"
	"time"

	"iterable-segment-export/schemas"
)

const (
	// startRate and startRows are what a project is asked for first: the requests a
	// second that Iterable documents for users/bulkUpdate, and the profiles that
	// peers send in one request.
	startRate = 5
	startRows = schemas.BatchProfiles
	// doubling is how long the rate takes to double until the first 429.
	doubling = 1200 * time.Millisecond
	// rampCut is what the first 429 leaves of the rate, and one that follows it within
	// settling without an accepted request in between; cut is what others leave.
	rampCut  = 0.65
	cut      = 0.92
	settling = 3 * time.Second
	// drain is how long nothing is sent after the first 429, for a bucket to fill.
	drain = time.Second
	// recovery is how long the rate takes back to where it was cut. It gets there
	// slowly, stays about there and then goes on, as TCP's CUBIC does.
	recovery = 25 * time.Second
	// fewest is the requests a second that a worker sends at least, and turns how long
	// it does so before others do.
	fewest = 1.5
	turns  = 10 * time.Second
	// proof is how long a rate has to go well before it is remembered.
	proof = 5 * time.Second
	// slowest is the least requests a second.
	slowest = 0.2
	// probeAfter is how long the size of requests stays as it was found, at first;
	// every probe in vain doubles it.
	probeAfter = 10 * time.Minute
	// slowRequest and slower say when a larger request is not worth it: it takes
	// that long, and its profiles take so many times as long as before.
	slowRequest = 2 * time.Second
	slower      = 2
	// failuresToShrink is how many requests in a row have to fail with a 5xx or
	// without an answer before they become smaller.
	failuresToShrink = 3
)

// Learned is what is known of a project's limits at one endpoint.
type Learned struct {
	// Rate is the requests a second of the whole project that are made now, Refused
	// the last one that was answered 429, 0 where none was.
	Rate    float64 `json:"requestsPerSecond"`
	Refused float64 `json:"refusedRequestsPerSecond,omitempty"`
	// Rows is the most profiles that one request carried, TooMany the fewest that
	// were too many, 0 where none were.
	Rows    int `json:"profiles,omitempty"`
	TooMany int `json:"tooManyProfiles,omitempty"`
	// Cuts counts how often a 429 slowed the rate down: of two workers, the one
	// with more knows more.
	Cuts int64 `json:"cuts"`
	// Found is set once the rate has been slowed down by a 429.
	Found bool `json:"found,omitempty"`
}

// controller learns one endpoint's limits: additive increase and multiplicative
// decrease of the rate, bisection of the size. It is a pure state machine: its
// methods are given the time, and the caller does the waiting and the locking.
type controller struct {
	Learned
	set schemas.Limits
	// part is this process's: its weight is of the rate where all workers send at the
	// same time, and its rank the place of this one among them.
	part
	cutAt          time.Time     // the rate was last cut
	base           float64       // the rate right after that
	age            time.Duration // of the cut, without the time in which nothing was sent
	since          int           // accepted requests that were sent after it
	answered       time.Time
	proven, marked float64 // rates that went well, and since when
	markedAt       time.Time
	probeAt        time.Time // a larger request is tried
	wait           time.Duration
	probing        bool
	best           float64 // seconds a profile, at the best
	failures       int
	drained        time.Time // nothing is sent before
	// Until unsettled, workers that share the rate are finding out about each other,
	// and 429s say nothing about the limit.
	unsettled time.Time
}

func newController(set schemas.Limits, known Learned) *controller {
	c := &controller{Learned: known, set: set, part: part{1, 1, 0}, wait: probeAfter}
	if c.Rate == 0 {
		c.Rate = startRate
	}
	c.base = c.Rate
	c.bound()
	return c
}

// bound keeps the rate within the settings.
func (c *controller) bound() {
	most := math.Inf(1)
	switch {
	case c.set.RequestsPerSecond > 0:
		most = float64(c.set.RequestsPerSecond)
		if !c.Found {
			c.Rate = most
		}
	case c.set.MaxRequestsPerSecond > 0:
		most = c.set.MaxRequestsPerSecond
	}
	c.Rate = min(max(c.Rate, slowest), most)
}

// own is the requests a second of this process. Where the rate gives each worker
// less than fewest, some of them send and the others wait, taking turns by the
// clock: many slow senders that do not know of each other's requests meet by
// chance, and a small bucket refuses them.
func (c *controller) own(now time.Time) float64 {
	active := min(c.workers, max(1, int(c.Rate/fewest)))
	if active == c.workers {
		return c.Rate * c.weight
	}
	turn := int(now.UnixNano()/int64(turns)) % c.workers
	if (c.rank-turn+c.workers)%c.workers < active {
		return c.Rate / float64(active)
	}
	return 0
}

// most is the most profiles that the settings allow in a request.
func (c *controller) most() int {
	switch {
	case c.set.SubscribersPerRequest > 0:
		return int(c.set.SubscribersPerRequest)
	case c.set.MaxSubscribersPerRequest > 0:
		return c.set.MaxSubscribersPerRequest
	}
	return math.MaxInt32
}

// sized reports whether the size of requests is found.
func (c *controller) sized() bool {
	switch {
	case c.set.SubscribersPerRequest > 0 && c.TooMany == 0, c.Rows >= c.most():
		return true
	case c.TooMany == 0:
		return c.Rows > startRows // the largest that the body's limit allowed
	}
	return c.TooMany-c.Rows <= max(1, c.Rows/20) || c.Rows >= startRows && c.TooMany-c.Rows <= startRows
}

// size is how many profiles the next request may carry.
func (c *controller) size(now time.Time) int {
	switch most := c.most(); {
	case c.TooMany > 0 && !c.sized() && c.Rows == 0:
		return min(most, max(1, c.TooMany/2))
	case c.TooMany > 0 && !c.sized():
		n := int(math.Sqrt(float64(c.Rows) * float64(c.TooMany)))
		if n > startRows {
			n = max(n/startRows*startRows, c.Rows/startRows*startRows+startRows)
		}
		return min(most, max(n, c.Rows+1))
	case c.TooMany > 0 && !c.probing && !c.probeAt.IsZero() && now.After(c.probeAt):
		c.probing, c.probeAt, c.wait = true, now.Add(c.wait), 2*c.wait
		return min(most, c.TooMany)
	case c.TooMany > 0:
		if c.probeAt.IsZero() {
			c.probeAt = now.Add(c.wait)
		}
		return min(most, c.Rows)
	case c.Rows < startRows && c.set.SubscribersPerRequest == 0:
		return min(most, startRows)
	default:
		return most
	}
}

// accepted notes that a request was answered 200, or that its rows were to blame
// where it was not.
func (c *controller) accepted(sent, now time.Time, rows int) {
	c.failures = 0
	perRow := now.Sub(sent).Seconds() / float64(max(1, rows))
	switch {
	case rows > c.Rows && rows > startRows && now.Sub(sent) > slowRequest && c.best > 0 && perRow > slower*c.best:
		c.TooMany = rows
	case rows > c.Rows:
		c.Rows = rows
		if rows >= c.TooMany {
			c.TooMany, c.probing = 0, false
		}
	}
	if rows >= startRows && (c.best == 0 || perRow < c.best) {
		c.best = perRow
	}
	if sent.Before(c.cutAt) || !c.sized() {
		return
	}
	// The rate grows with the answers, so that it does not while nothing is sent.
	own := max(c.own(now), slowest)
	passed := min(now.Sub(c.answered), time.Duration(2*float64(time.Second)/own))
	c.answered = now
	c.since++
	if now.Sub(c.markedAt) >= proof {
		c.proven, c.marked, c.markedAt = c.marked, c.Rate, now
	}
	if !c.Found {
		c.Rate *= math.Exp2(1 / own / doubling.Seconds())
	} else {
		c.age += passed
		y := c.age.Seconds()/recovery.Seconds() - 1
		c.Rate = c.Refused + max(c.Refused-c.base, 0.05*c.Refused)*y*y*y
	}
	c.bound()
}

// remembered is what is stored.
func (c *controller) remembered() Learned {
	l := c.Learned
	if !l.Found {
		l.Rate = max(startRate, c.proven)
	}
	return l
}

// throttled notes that a request was answered 429, and reports whether that slowed
// the rate down: the 429s of requests that had left before the last cut do not.
func (c *controller) throttled(sent, now time.Time) bool {
	if sent.Before(c.cutAt) || now.Before(c.unsettled) {
		return false
	}
	c.Refused = c.Rate
	if !c.Found || c.since == 0 && now.Sub(c.cutAt) < settling {
		c.Rate *= rampCut
		c.Refused = (c.Rate + c.Refused) / 2
		c.drained = now.Add(drain)
	} else {
		c.Rate *= cut
	}
	c.Found, c.cutAt, c.age, c.since = true, now, 0, 0
	c.Cuts++
	c.bound()
	c.base = c.Rate
	return true
}

// tooLarge notes that a request with so many rows was refused for its size.
func (c *controller) tooLarge(rows int) {
	c.probing = false
	if c.TooMany == 0 || rows < c.TooMany {
		c.TooMany = rows
	}
	if c.Rows >= c.TooMany {
		c.Rows = 0
		if c.TooMany > startRows {
			c.Rows = startRows
		}
	}
}

// failed notes a 5xx or a request without an answer, and reports whether requests
// are smaller from now on.
func (c *controller) failed(rows int) bool {
	c.failures++
	if rows <= startRows || rows <= c.Rows && c.failures < failuresToShrink {
		return false
	}
	c.failures = 0
	c.tooLarge(rows)
	return true
}

// adopt takes over what another worker knows, if it knows more.
func (c *controller) adopt(other Learned, now time.Time) {
	if other.Cuts > c.Cuts {
		c.Rate, c.Refused, c.Cuts, c.Found = other.Rate, other.Refused, other.Cuts, other.Found
		c.cutAt, c.age, c.base = now, 0, c.Rate
	}
	if other.Rows > c.Rows && (c.TooMany == 0 || other.Rows < c.TooMany) {
		c.Rows = other.Rows
	}
	if other.TooMany > c.Rows && (c.TooMany == 0 || other.TooMany < c.TooMany) {
		c.TooMany = other.TooMany
	}
	c.bound()
}
