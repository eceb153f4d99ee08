package limits

import (
	"fmt"
	"testing"
)

// A table of hidden limits: how much longer than the limits allow a million profiles
// take, and how many requests are answered 429. The bounds are what the controller
// does, with a little room; docs/performance.md has the figures.
func TestHiddenLimits(t *testing.T) {
	for _, c := range []struct {
		rate         float64
		rows         int
		workers      int
		others       float64
		cold, warm   float64 // × the time that the limits allow
		cold429      float64 // share
		warm429, min float64 // min is of the worst minute
	}{
		{2, 1000, 1, 0, 1.05, 1.05, 0.05, 0.04, 0.10},
		{5, 1000, 1, 0, 1.05, 1.05, 0.03, 0.02, 0.10},
		{5, 5000, 1, 0, 1.10, 1.05, 0.06, 0.02, 0.10},
		{20, 1000, 1, 0, 1.10, 1.05, 0.03, 0.02, 0.10},
		{100, 1000, 1, 0, 1.60, 1.05, 0.05, 0.02, 0.10},
		{5, 1000, 1, 0.4, 1.05, 1.05, 0.04, 0.03, 0.10},
		{20, 1000, 1, 0.4, 1.10, 1.05, 0.04, 0.02, 0.10},
		{2, 1000, 5, 0, 1.10, 1.10, 0.03, 0.02, 0.10},
		{5, 1000, 5, 0, 1.10, 1.05, 0.05, 0.02, 0.12},
		{20, 1000, 5, 0, 1.60, 1.60, 0.06, 0.02, 0.12},
	} {
		t.Run(fmt.Sprintf("%g a second of %d, %d workers, others %g", c.rate, c.rows, c.workers, c.others), func(t *testing.T) {
			for seed := range uint64(3) {
				h := Hidden{Rate: c.rate, Rows: c.rows, BodyRows: 100_000, Others: c.others * c.rate, Workers: c.workers, Profiles: 1_000_000, Seed: seed}
				floor := float64(h.Profiles) / float64(h.Rows) / (h.Rate - h.Others)
				cold := Simulate(h)
				h.Known = cold.Learned
				warm := Simulate(h)
				if took := cold.Took.Seconds() / floor; took > c.cold || cold.Share429() > c.cold429 || cold.WorstMinute > c.min {
					t.Errorf("cold: × %.3f, %.1f %% answered 429, %.1f %% in the worst minute", took, 100*cold.Share429(), 100*cold.WorstMinute)
				}
				if took := warm.Took.Seconds() / floor; took > c.warm || warm.Share429() > c.warm429 {
					t.Errorf("remembered: × %.3f, %.1f %% answered 429", took, 100*warm.Share429())
				}
			}
		})
	}
}
