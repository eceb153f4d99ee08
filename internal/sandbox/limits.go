package sandbox

import (
	"math"
	"sync"
	"time"
)

// endpoint names one call of the API in stats, faults and the request log.
type endpoint string

// The endpoints.
const (
	getLists     endpoint = "lists"
	createList   endpoint = "lists/create"
	deleteList   endpoint = "lists/delete"
	listSize     endpoint = "lists/size"
	getUsers     endpoint = "lists/getUsers"
	previewUsers endpoint = "lists/previewUsers"
	subscribe    endpoint = "lists/subscribe"
	unsubscribe  endpoint = "lists/unsubscribe"
	getFields    endpoint = "users/getFields"
	getUser      endpoint = "users/get"
	unknown      endpoint = "unknown"
)

// limits are a project's rates, one bucket for each limited endpoint.
type limits struct {
	mu      sync.Mutex
	buckets map[endpoint]*bucket
}

func newLimits(rate float64, c *Config) limits {
	buckets := map[endpoint]*bucket{}
	if rate > 0 {
		buckets[subscribe] = newBucket(rate, c.Burst)
		buckets[unsubscribe] = newBucket(rate, c.Burst)
	}
	if c.GetUsersPerMinute > 0 {
		buckets[getUsers] = newBucket(c.GetUsersPerMinute/60, int(math.Ceil(c.GetUsersPerMinute)))
	}
	return limits{buckets: buckets}
}

// take asks for a request at the moment now. If it is too many, wait is how long
// until one will be taken.
func (l *limits) take(e endpoint, now time.Time) (ok bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[e]
	if b == nil {
		return true, 0
	}
	return b.take(now)
}

// load lets other users of the project make rate requests a second, to each of
// subscribe and unsubscribe, from now on; 0 ends it.
func (l *limits) load(rate float64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range []endpoint{subscribe, unsubscribe} {
		if b := l.buckets[e]; b != nil {
			b.load(rate, now)
		}
	}
}

// bucket is a token bucket in the form of the generic cell rate algorithm: it
// keeps the moment at which it will be full again.
type bucket struct {
	interval time.Duration // between requests at the rate
	burst    time.Duration // how far fullAt may lie ahead
	fullAt   time.Time

	others     time.Duration // between the requests of others, 0 if there are none
	nextOthers time.Time
}

func newBucket(rate float64, burst int) *bucket {
	if burst <= 0 {
		burst = max(1, int(rate))
	}
	interval := time.Duration(float64(time.Second) / rate)
	return &bucket{interval: interval, burst: time.Duration(burst) * interval}
}

func (b *bucket) load(rate float64, now time.Time) {
	b.others = 0
	if rate > 0 {
		b.others = time.Duration(float64(time.Second) / rate)
		b.nextOthers = now
	}
}

func (b *bucket) take(now time.Time) (bool, time.Duration) {
	if b.others > 0 {
		// What others asked for before the bucket last was empty for certain
		// makes no difference any more.
		if since := now.Add(-2 * b.burst).Add(-time.Minute); b.nextOthers.Before(since) {
			b.nextOthers = since
		}
		for !b.nextOthers.After(now) {
			b.takeOne(b.nextOthers)
			b.nextOthers = b.nextOthers.Add(b.others)
		}
	}
	return b.takeOne(now)
}

func (b *bucket) takeOne(now time.Time) (bool, time.Duration) {
	full := b.fullAt
	if full.Before(now) {
		full = now
	}
	full = full.Add(b.interval)
	if ahead := full.Sub(now); ahead > b.burst {
		return false, ahead - b.burst
	}
	b.fullAt = full
	return true, 0
}
