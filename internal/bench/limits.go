package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"iterable-segment-export/internal/limits"
)

// addressesInABody is how many addresses of the generator fit into a request's body.
const addressesInABody = 100_000

// limits measures what it costs to find a project's limits: a million addresses in
// virtual time, over a table of limits that the clients are not told, from a cold
// start and with what that learned. The time is compared with that of requests of the
// largest size at the largest rate that is left to them.
func (l *lab) limits(context.Context) error {
	var cold, warm, busy []float64
	for _, workers := range []int{1, 5} {
		for _, others := range []float64{0, 0.4} {
			for _, rate := range []float64{2, 5, 20, 100} {
				for _, rows := range []int{1000, 5000, 0} {
					for _, each := range []time.Duration{0, 20 * time.Microsecond} {
						h := limits.Hidden{Rate: rate, Rows: rows, BodyRows: addressesInABody, PerProfile: each, Others: others * rate, Workers: workers, Profiles: 1_000_000, Seed: 1}
						first := limits.Simulate(h)
						h.Known = first.Learned
						second := limits.Simulate(h)
						size := float64(rows)
						if rows == 0 {
							size = addressesInABody
						}
						floor := math.Ceil(1e6/size)/(rate*(1-others)) + 0.1 + size*each.Seconds()
						l.say("  %s", strings.Join([]string{
							fmt.Sprintf("%d workers, others take %2.0f %%, %3g requests/s of %6s, %4s a profile: %6.1f s", workers, 100*others, rate, named(rows), each, floor),
							fmt.Sprintf("cold × %5.2f, %4.1f %% 429", first.Took.Seconds()/floor, 100*first.Share429()),
							fmt.Sprintf("remembered × %5.2f, %4.1f %% 429", second.Took.Seconds()/floor, 100*second.Share429()),
						}, "; "))
						cold, warm = append(cold, first.Took.Seconds()/floor), append(warm, second.Took.Seconds()/floor)
						busy = append(busy, 100*first.Share429(), 100*second.Share429())
					}
				}
			}
		}
	}
	held := func(what string, values []float64, most float64, unit string) {
		n := 0
		for _, v := range values {
			if v <= most {
				n++
			}
		}
		l.add(Figure{Scenario: "limits", What: fmt.Sprintf("%s ≤ %g%s", what, most, unit), Measured: 100 * float64(n) / float64(len(values)), Unit: "% of the table", Target: 100, AtLeast: true})
	}
	held("hidden limits, cold: time ÷ what they allow", cold, 1.15, "")
	held("hidden limits, remembered: time ÷ what they allow", warm, 1.05, "")
	held("hidden limits: requests answered 429", busy, 2, " %")
	return nil
}

func named(rows int) string {
	if rows == 0 {
		return "any"
	}
	return fmt.Sprint(rows)
}
