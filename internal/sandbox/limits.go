package sandbox

import (
	"cmp"

	"golang.org/x/time/rate"

	"iterable-segment-export/internal/iterable/api"
)

// newLimits returns the limits of endpoints by name.
func newLimits(c Config) map[string]*rate.Limiter {
	limits := map[string]*rate.Limiter{}
	add := func(e api.Endpoint, perSecond float64, burst int) {
		if perSecond > 0 {
			limits[e.Name] = rate.NewLimiter(rate.Limit(perSecond), max(1, burst))
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
