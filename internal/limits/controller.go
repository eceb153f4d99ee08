package limits

import (
	"cmp"
	"math"
	"slices"
	"time"

	"iterable-segment-export/schemas"
)

const (
	// startRate and startRows are the first rate and size: the requests per second that
	// Iterable documents for users/bulkUpdate, and the profiles that peers send in one
	// request.
	startRate = 5
	startRows = schemas.BatchProfiles
	// rise is by how many requests per second the rate rises in a second of sending until the
	// first 429, and smallRise is that with requests of fewer profiles than startRows, after the
	// first fewSmall of them: some small lists fit into what startRate allows. From that 429 the
	// limit is calculated, with the last counted requests. mostLeft is the most that it leaves of
	// the rate. firstPause is the pause after it, for the project's bucket to fill a little, and
	// missedCut is the factor of the next 429 if that comes before a higher rate was tried: the
	// calculation was wrong.
	rise       = 36
	smallRise  = 9
	fewSmall   = 16
	counted    = 1000
	mostLeft   = 0.9
	firstPause = time.Second / 4
	missedCut  = 0.8
	// hardlyRisen is the rate up to which too few requests were sent to calculate a limit.
	// Then firstCut and lowPause are for the first 429, and secondCut for the next.
	hardlyRisen = 1.2 * startRate
	firstCut    = 0.4
	lowPause    = time.Second
	secondCut   = 0.6
	// stepPause is the pause after a higher rate was refused, for the bucket to fill a
	// little. cut is what a 429 leaves of a rate that had been accepted, and fall what it
	// leaves after more than cutsInVain cuts with no request between them that was not
	// answered 429.
	stepPause  = time.Second / 2
	cut        = 0.95
	fall       = 0.5
	cutsInVain = 4
	// firstHold is how long a rate is first held before a higher one is tried. Every 429
	// doubles it, up to longestHold. firstStep is the first increase; every further one
	// without a 429 doubles it.
	firstHold   = 4 * time.Second
	longestHold = time.Minute
	firstStep   = 0.05
	// slowest is the minimum of requests per second.
	slowest = 0.2
	// growth is the factor by which requests grow until one was too large. near is the ratio
	// of the smallest size that was too large to the largest accepted one at which the
	// search between them ends.
	growth = 100
	near   = 1.25
	// growthWait is how long other requests wait for the answer to the first large one. A
	// refusal comes soon. If none has come by then, more large ones are sent.
	growthWait = 300 * time.Millisecond
	// probeAfter is how long the size of requests is first kept; every failed probe doubles it.
	probeAfter = 10 * time.Minute
	// slowRequest and slower define when a larger request is not worth it: when it lasts that
	// long, and its time per profile is that many times as long as before.
	slowRequest = 2 * time.Second
	slower      = 2
	// failuresToShrink is the number of failures in a row (5xx or no answer) after which
	// requests become smaller.
	failuresToShrink = 3
)

// Learned is the knowledge of a project's limits at one endpoint.
type Learned struct {
	// Rate is the requests per second of all workers together.
	Rate float64 `json:"requestsPerSecond"`
	// Found is set once a 429 has shown where the limit is.
	Found bool `json:"found,omitempty"`
	// Before is the rate before the last change if that was a raise, otherwise 0.
	Before float64 `json:"before,omitempty"`
	// Hold is how long the rate is held before a higher one is tried.
	Hold time.Duration `json:"hold,omitempty"`
	// Changes counts the changes of the rate since it was found: the worker with more of them
	// knows more.
	Changes int64 `json:"changes,omitempty"`
	// Rows is the largest accepted number of profiles in a request, TooMany the smallest
	// refused one, 0 if there is none.
	Rows    int `json:"profiles,omitempty"`
	TooMany int `json:"tooManyProfiles,omitempty"`
	// Bytes is the maximum size of a request's body, if one with fewer profiles than allowed
	// was too large; 0 means that only the setting bounds it.
	Bytes int `json:"bodyBytes,omitempty"`
	// Pinned is the rate in the settings when this was learned, 0 if not set.
	Pinned float64 `json:"pinned,omitempty"`
}

// controller learns one endpoint's limits. It is a pure state machine: its methods receive
// the time, and the caller waits and locks.
type controller struct {
	Learned
	set schemas.Limits
	part
	known     float64     // the initial rate, if no 429 had shown the limit
	cutAt     time.Time   // of the last cut
	inVain    int         // cuts since the last request that was not answered 429
	sends     []time.Time // the last requests before the first 429
	raised    time.Time   // the rate, for the time of sending until then
	small     int         // requests of fewer profiles than startRows that were accepted
	tryAt     time.Time   // a higher rate is tried
	unsettled time.Time   // until then 429s are ignored: workers are dividing the rate again
	probing   bool        // a request that may be too large is in progress
	probed    time.Time   // when that was sent
	filled    bool        // a request had unused room
	probeAt   time.Time   // a size that was too large is tried again
	bytesAt   time.Time   // a body larger than Bytes is
	wait      time.Duration
	best      float64 // the lowest time per profile, in seconds
	failures  int
}

// part is this process's part of the rate: share is its fraction, and before the sum of the
// fractions of the workers that come before this one.
type part struct{ share, before float64 }

func newController(set schemas.Limits, known Learned) *controller {
	c := &controller{Learned: known, set: set, part: part{share: 1}, wait: probeAfter}
	if pinned := float64(set.RequestsPerSecond); pinned != known.Pinned {
		c.Pinned = pinned
		if pinned > 0 { // knowledge of another rate does not apply
			c.Rate, c.Found, c.Before, c.Hold, c.Changes = pinned, false, 0, 0, 0
		}
	}
	if c.Rate == 0 {
		c.Rate = startRate
	}
	if !c.Found {
		c.known = c.Rate
	}
	c.Hold = max(c.Hold, firstHold)
	c.bound()
	return c
}

// bound keeps the rate within the settings.
func (c *controller) bound() {
	most := math.Inf(1)
	if c.set.MaxRequestsPerSecond > 0 {
		most = c.set.MaxRequestsPerSecond
	}
	if c.set.RequestsPerSecond > 0 {
		most = min(most, float64(c.set.RequestsPerSecond))
		if !c.Found {
			c.Rate = most
		}
	}
	c.Rate = min(max(c.Rate, slowest), most)
}

// own returns the requests per second of this process.
func (c *controller) own() float64 { return c.Rate * c.share }

// slot returns the time of this worker's next place in the period, after a moment. Workers
// that send at the same rate share one period in turn, by the clock: random requests of
// several would collide, and a small bucket would refuse them.
func (c *controller) slot(from time.Time) time.Time {
	period := float64(time.Second) / c.own()
	d := math.Mod(c.before*period-float64(from.UnixNano()%int64(time.Hour)), period)
	if d < 0 {
		d += period
	}
	return from.Add(time.Duration(d))
}

// most returns the maximum number of profiles that the settings allow in a request.
func (c *controller) most() int {
	return cmp.Or(lower(int(c.set.SubscribersPerRequest), c.set.MaxSubscribersPerRequest), math.MaxInt32)
}

// grown reports whether a request of more than startRows was answered.
func (c *controller) grown() bool { return c.TooMany > 0 || c.Rows > startRows }

// size returns the maximum number of profiles of the next request. A probe is a request that
// may be too large. There is at most one at a time, or one in each growthWait before the first
// is answered.
func (c *controller) size(now time.Time) (rows int, probe bool) {
	sure := c.Rows
	switch {
	case c.TooMany == 0 && c.set.SubscribersPerRequest > 0:
		return c.most(), false
	case c.TooMany == 0 || c.TooMany > startRows:
		sure = max(sure, startRows)
	case sure == 0:
		sure = max(1, c.TooMany/2)
	}
	sure = min(sure, c.most())
	if c.probing && (c.grown() || now.Sub(c.probed) < growthWait) {
		return sure, false
	}
	next := sure
	switch {
	case c.Rows == 0: // the first request is not answered yet
	case c.TooMany == 0:
		next = growth * sure
	case float64(c.TooMany) > near*float64(sure):
		next = int(math.Sqrt(float64(sure) * float64(c.TooMany)))
		if next > startRows {
			next = max(next/startRows*startRows, sure+startRows)
		}
		if next >= c.TooMany {
			next = sure
		}
	case c.probeAt.IsZero():
		c.probeAt = now.Add(c.wait)
	case now.After(c.probeAt):
		next = c.TooMany
		c.wait *= 2
		c.probeAt = now.Add(c.wait)
	}
	next = min(next, c.most())
	return next, next > sure
}

// growing returns how long to wait for the answer to the first large request. Small ones would
// only use up the rate meanwhile.
func (c *controller) growing(now time.Time) time.Duration {
	if !c.probing || c.filled || c.grown() { // filled: few have more to send
		return 0
	}
	return c.probed.Add(growthWait).Sub(now)
}

// accepted records that a request of so many of the allowed profiles was answered 200, or
// was refused because of its rows.
func (c *controller) accepted(sent, now time.Time, rows, allowed int) {
	c.failures = 0
	perRow := now.Sub(sent).Seconds() / float64(max(1, rows))
	switch {
	case rows > c.Rows && rows > startRows && now.Sub(sent) > slowRequest && c.best > 0 && perRow > slower*c.best:
		c.TooMany = rows
	case rows > c.Rows:
		c.Rows = rows
		if rows >= c.TooMany {
			c.TooMany, c.wait = 0, probeAfter
		}
	}
	if !sent.Before(c.cutAt) {
		c.inVain = 0
	}
	c.filled = c.filled || rows < allowed
	if rows >= startRows && (c.best == 0 || perRow < c.best) {
		c.best = perRow
	}
	if sent.Before(c.cutAt) || c.TooMany == 0 && !c.filled && c.Rows < c.most() {
		return // the size grows first
	}
	switch {
	case !c.Found:
		c.raise(sent, now, rows)
	case c.tryAt.IsZero():
		c.tryAt = now.Add(c.Hold)
	case now.After(c.tryAt):
		step := firstStep
		if c.Before > 0 {
			step = min(2*(c.Rate/c.Before-1), 1)
		}
		c.Before = c.Rate
		c.Rate *= 1 + step
		c.changed(now)
	}
	c.bound()
}

// sending records that a request is sent.
func (c *controller) sending(now time.Time) {
	if c.Found {
		c.sends = nil
		return
	}
	c.sends = append(c.sends[max(0, len(c.sends)-counted+1):], now)
}

// raise raises the rate by rise or smallRise for each second of sending. It stays while nothing
// is sent.
func (c *controller) raise(sent, now time.Time, rows int) {
	if c.raised.IsZero() {
		c.raised = sent
	}
	by := float64(rise)
	if rows < startRows {
		by = smallRise
		if c.small++; c.small <= fewSmall {
			c.raised = now
			return
		}
	}
	c.Rate += by * min(now.Sub(c.raised).Seconds(), 3/c.own())
	c.raised = now
	c.bound()
}

// passed returns the limit of all workers, if the request that was sent then is the first that
// was refused. A project accepts one second's requests at once, and what its limit allows after
// that. So the limit is the maximum over all stretches of time until then of the requests,
// divided by the stretch's seconds and one. Half of the refused request counts, because
// something was left for it.
func (c *controller) passed(refused time.Time) float64 {
	n, most := 0.5, 0.5
	for _, at := range slices.Backward(c.sends) {
		if at.Before(refused) {
			n++
			most = max(most, n/(1+refused.Sub(at).Seconds()))
		}
	}
	return most / c.share
}

// changed records a change of the rate.
func (c *controller) changed(now time.Time) {
	c.Changes++
	c.tryAt = now.Add(c.Hold)
}

// throttled records that a request was answered 429, and returns how long to pause. A 429 of
// a request from before the last cut changes nothing. While workers divide the rate again,
// only the first 429 does.
func (c *controller) throttled(sent, now time.Time) (pause time.Duration) {
	if sent.Before(c.cutAt) || now.Before(c.unsettled) && !c.cutAt.Before(c.unsettled.Add(-lookEvery)) {
		return 0
	}
	c.inVain++
	if c.Found || c.set.RequestsPerSecond > 0 {
		switch {
		case c.Before > 0:
			c.Rate, pause = c.Before, stepPause
		case c.Changes == 1 && c.Rate <= hardlyRisen*firstCut:
			c.Rate *= secondCut
		case c.Changes == 1:
			c.Rate *= missedCut
		case c.inVain > cutsInVain: // the limit is far lower now
			c.Rate *= fall
		default:
			c.Rate *= cut
		}
		c.Hold = min(2*c.Hold, longestHold)
	} else {
		// If a remembered rate is refused at once, others have used up what the project accepts at
		// once. Then the requests until then do not show the limit.
		atOnce := c.known > hardlyRisen && float64(len(c.sends)) <= startRate*c.share
		if c.Rate > hardlyRisen && !atOnce {
			c.Rate, pause = min(c.passed(sent), mostLeft*c.Rate), firstPause
		} else {
			c.Rate, pause = c.Rate*firstCut, lowPause
		}
	}
	c.Found, c.Before, c.cutAt = true, 0, now
	c.changed(now)
	c.bound()
	return pause
}

// tooLarge records that a request was refused for its size. If it had few rows, and fewer than
// allowed, it had too many bytes; its number of rows means nothing for exports with shorter
// rows.
func (c *controller) tooLarge(sent, now time.Time, rows, allowed, bytes int) {
	if rows < min(allowed, startRows) && bytes > 0 {
		c.Bytes, c.bytesAt = max(1, bytes/2), now.Add(probeAfter)
		return
	}
	c.shrink(rows)
	if c.Rows > 0 && !c.Found { // the largest size is nearly known, and this was no 429
		c.raise(sent, now, rows)
	}
}

// shrink makes requests smaller than rows.
func (c *controller) shrink(rows int) {
	if c.TooMany == 0 || rows < c.TooMany {
		c.TooMany = rows
	}
	if c.Rows >= c.TooMany {
		c.Rows = 0
	}
}

// failed records a 5xx or a request without an answer, and reports whether requests become
// smaller.
func (c *controller) failed(rows int) bool {
	c.failures++
	if rows <= startRows || rows <= c.Rows && c.failures < failuresToShrink {
		return false
	}
	c.failures = 0
	c.shrink(rows)
	return true
}

// bytes returns the maximum size of the next request's body, 0 if only the setting bounds it.
func (c *controller) bytes(now time.Time) int {
	switch {
	case c.Bytes == 0:
	case c.bytesAt.IsZero(): // it was stored
		c.bytesAt = now.Add(probeAfter)
	case now.After(c.bytesAt):
		c.Bytes, c.bytesAt = 0, time.Time{}
	}
	return c.Bytes
}

// remembered returns what is stored. A rate without a 429 may have succeeded because there
// were few requests, so half of it is stored.
func (c *controller) remembered() Learned {
	l := c.Learned
	if !l.Found {
		l.Rate = max(startRate, c.known, l.Rate/2)
	}
	return l
}

// adopt copies what another worker knows, if it knows more. Rates that grow approach each other,
// and so do first calculations of the limit.
func (c *controller) adopt(other Learned, now time.Time) {
	if other.Pinned == c.Pinned && c.Found && other.Found && c.Changes == 1 && other.Changes == 1 {
		c.Rate = (c.Rate + other.Rate) / 2
	} else if other.Pinned == c.Pinned && (other.Changes > c.Changes || other.Changes == c.Changes && c.Found && other.Rate < c.Rate) {
		c.Rate, c.Found, c.Before, c.Hold, c.Changes = other.Rate, other.Found, other.Before, max(other.Hold, firstHold), other.Changes
		c.cutAt, c.tryAt = now, now.Add(c.Hold)
	}
	if other.Pinned == c.Pinned && !c.Found && !other.Found { // so that all find about the same
		c.Rate = (c.Rate + other.Rate) / 2
	}
	if other.Rows > c.Rows && (c.TooMany == 0 || other.Rows < c.TooMany) {
		c.Rows = other.Rows
	}
	if other.Bytes > 0 && (c.Bytes == 0 || other.Bytes < c.Bytes) {
		c.Bytes, c.bytesAt = other.Bytes, now.Add(probeAfter)
	}
	if other.TooMany > c.Rows && (c.TooMany == 0 || other.TooMany < c.TooMany) {
		c.TooMany = other.TooMany
	}
	c.bound()
}
