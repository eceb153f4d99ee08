package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// longestCell bounds what the limits of a cell allow the work to take: the whole table
// would take hours. internal/limits has it in virtual time.
const longestCell = 18 * time.Second

// limits measures what it costs to find a project's limits: addresses to a project
// whose limits the workers are not told, from a cold start and with what that learned.
// The time from the first request to the last acknowledgement is compared with that of
// requests of the largest size at the largest rate that is left to them.
func (l *lab) limits(ctx context.Context) error {
	var cold, warm, busy []float64
	for _, workers := range []int{1, 5} {
		for _, others := range []float64{0, 0.4} {
			for _, rate := range []float64{2, 5, 20, 100} {
				for _, rows := range []int{1000, 5000, 0} {
					for _, each := range []time.Duration{0, 20 * time.Microsecond} {
						p := project{rate: rate, latency: 100 * time.Millisecond, rows: rows, perProfile: each, auto: true}
						if rows > 0 && float64(l.Rows)/float64(rows)/rate/(1-others) > longestCell.Seconds() {
							continue
						}
						cell, err := l.cell(ctx, p, workers, others*rate)
						if err != nil {
							return err
						}
						l.say("  %d workers, others take %2.0f %%, %3g requests/s of %5s, %4s a profile: %5.1f s; cold × %.2f, %.1f %% 429; remembered × %.2f, %.1f %% 429",
							workers, 100*others, rate, most(rows), each, cell[0].allowed, cell[0].ratio(), cell[0].busy, cell[1].ratio(), cell[1].busy)
						cold, warm = append(cold, cell[0].ratio()), append(warm, cell[1].ratio())
						busy = append(busy, cell[0].busy, cell[1].busy)
					}
				}
			}
		}
	}
	l.share("hidden limits, cold: time ÷ what they allow", cold, 1.15, "")
	l.share("hidden limits, remembered: time ÷ what they allow", warm, 1.05, "")
	l.share("hidden limits: requests answered 429", busy, 2, " %")
	return nil
}

// share adds how many of the cells hold a target.
func (l *lab) share(what string, values []float64, target float64, unit string) {
	n := 0
	for _, v := range values {
		if v <= target {
			n++
		}
	}
	l.add(Figure{
		Scenario: "limits", What: fmt.Sprintf("%s ≤ %g%s", what, target, unit), Measured: 100 * float64(n) / float64(len(values)),
		Unit: fmt.Sprintf("%% of %d", len(values)), Target: 100, AtLeast: true,
	})
}

// most writes the most profiles in a request.
func most(rows int) string {
	if rows == 0 {
		return "any"
	}
	return fmt.Sprint(rows)
}

// sent is what it took to send a segment.
type sent struct{ took, allowed, busy float64 }

func (s sent) ratio() float64 { return s.took / s.allowed }

// cell measures a project, cold and with what that learned.
func (l *lab) cell(ctx context.Context, p project, workers int, others float64) (out [2]sent, err error) {
	w, err := l.open(ctx, p)
	if err != nil {
		return out, err
	}
	defer w.close()
	if err := w.others(others); err != nil {
		return out, err
	}
	known := 0
	for i := range out {
		var exports []schemas.Export
		for k := range workers {
			dir, err := l.segment(ctx, l.Rows/int64(workers), int64(10+k), 1)
			if err != nil {
				return out, err
			}
			exports = append(exports, w.export(fmt.Sprintf("hidden %d %d", i, k), dir, nil))
		}
		if err := w.startWorkers(workers); err != nil {
			return out, err
		}
		errs := make([]error, workers)
		var all sync.WaitGroup
		for k, e := range exports {
			all.Go(func() { _, _, errs[k] = w.run(ctx, e) })
		}
		all.Wait()
		for _, err := range errs {
			if err != nil {
				return out, err
			}
		}
		w.stopWorkers()
		requests, err := w.requests()
		if err != nil {
			return out, err
		}
		out[i] = summed(requests[known:], p, p.rate-others)
		known = len(requests)
	}
	return out, nil
}

// requests asks the sandbox for all requests to subscribe.
func (w *world) requests() (subscribes []sandbox.Request, err error) {
	r, err := http.Get(w.url + "/sandbox/requests?last=100000")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var all struct{ Requests []sandbox.Request }
	err = json.NewDecoder(r.Body).Decode(&all)
	for _, q := range all.Requests {
		if q.Endpoint == api.Subscribe.Name {
			subscribes = append(subscribes, q)
		}
	}
	return subscribes, err
}

// summed sums up what requests to a project took that has such a rate left.
func summed(requests []sandbox.Request, p project, left float64) (s sent) {
	var first, last time.Time
	largest, profiles := 0, 0
	for _, q := range requests {
		if first.IsZero() || q.Time.Before(first) {
			first = q.Time
		}
		if end := q.Time.Add(time.Duration(q.Milliseconds * float64(time.Millisecond))); end.After(last) {
			last = end
		}
		if q.Status == http.StatusTooManyRequests {
			s.busy += 100 / float64(len(requests))
		}
		profiles += q.Rows
		largest = max(largest, q.Rows)
	}
	if p.rows > 0 {
		largest = p.rows
	}
	s.took = last.Sub(first).Seconds()
	s.allowed = math.Ceil(float64(profiles)/float64(largest))/left + p.latency.Seconds() + float64(largest)*p.perProfile.Seconds()
	return s
}
