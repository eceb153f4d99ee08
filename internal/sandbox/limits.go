package sandbox

import (
	"cmp"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/internal/iterable/api"
)

// limit is the rate of one endpoint, which other users of the project share.
type limit struct {
	*rate.Limiter
	others time.Duration // between the requests of others, 0 if there are none
	next   time.Time     // request of others
}

// newLimits returns the limits by endpoint.
func newLimits(c Config) map[string]*limit {
	limits := map[string]*limit{}
	add := func(e api.Endpoint, perSecond float64, burst int) {
		if perSecond > 0 {
			limits[e.Name] = &limit{Limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, burst))}
		}
	}
	for _, e := range api.Endpoints {
		if !c.Fast {
			add(e, e.PerMinute/60, int(e.PerMinute))
			add(e, e.PerSecond, int(e.PerSecond))
		}
	}
	for _, e := range []api.Endpoint{api.Subscribe, api.Unsubscribe} {
		add(e, c.Rate, cmp.Or(c.Burst, int(c.Rate)))
	}
	return limits
}

// allow reports whether a request at the moment now is allowed. A nil limit is none.
func (l *limit) allow(now time.Time) bool {
	if l == nil {
		return true
	}
	if since := now.Add(-time.Minute); l.next.Before(since) {
		l.next = since // the bucket has been empty or full since
	}
	for ; l.others > 0 && !l.next.After(now); l.next = l.next.Add(l.others) {
		l.AllowN(l.next, 1)
	}
	return l.AllowN(now, 1)
}

// SetLoad sets how many requests a second other users of the project make to
// subscribe and to unsubscribe, each. They compete with those that are made here.
func (s *Server) SetLoad(perSecond float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range []api.Endpoint{api.Subscribe, api.Unsubscribe} {
		if l := s.limits[e.Name]; l != nil {
			l.others, l.next = 0, s.now()
			if perSecond > 0 {
				l.others = time.Duration(float64(time.Second) / perSecond)
			}
		}
	}
}
