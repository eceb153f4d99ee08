package main

import (
	"context"
	"fmt"
	"math"
	"sync"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// columnsOf are the columns that an export with these fields reads.
func columnsOf(fields []string) []string { return append([]string{"EmailAddress"}, fields...) }

// staging measures a check, which does all that a run does before it sends.
func (l *lab) staging(ctx context.Context) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	floor, err := l.reading(ctx, dir, columnsOf(eightFields))
	if err != nil {
		return err
	}
	w, err := l.open(ctx, project{})
	if err != nil {
		return err
	}
	defer w.close()
	e := w.export("staging", dir, eightFields)
	// The run waits for a worker, so that the time to the first activity is the worker's.
	run, _, err := w.operator.Check(ctx, e, false)
	if err != nil {
		return err
	}
	if err := w.startWorkers(1); err != nil {
		return err
	}
	began := w.workers[0].started
	v, _, err := w.await(ctx, run)
	if err != nil {
		return err
	}
	h, err := w.histories(ctx, v)
	if err != nil {
		return err
	}
	used := w.stopWorkers()
	l.add(Figure{
		Scenario: "staging", What: "staging: read, validate, leave out duplicates, compare, write", Measured: h.seconds[schemas.ActivityStageSegment], Unit: "s",
		Floor: floor, FloorOf: "reading the columns alone", Target: 3,
	})
	l.add(Figure{Scenario: "staging", What: "CPU time of a worker that starts, stages and stops", Measured: used.CPU, Unit: "s", Target: 3})
	l.add(Figure{Scenario: "staging", What: "a worker's start to its first activity", Measured: h.firstActivity.Sub(began).Seconds(), Unit: "s", Target: 2})
	return nil
}

// histories reads the histories of a run: its own and those of its segments.
func (w *world) histories(ctx context.Context, v operate.View) (h history, err error) {
	if err := w.history(ctx, v.Run.WorkflowID, &h); err != nil {
		return h, err
	}
	for _, s := range v.Segments {
		if err := w.history(ctx, s.WorkflowID, &h); err != nil {
			return h, err
		}
	}
	return h, nil
}

// unthrottled measures the first export and refreshes where nothing but this machine
// limits them.
func (l *lab) unthrottled(ctx context.Context) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	w, err := l.open(ctx, project{})
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.startWorkers(1); err != nil {
		return err
	}
	e := w.export("unthrottled", dir, eightFields)
	v, seconds, err := w.run(ctx, e)
	if err != nil {
		return err
	}
	h, err := w.histories(ctx, v)
	if err != nil {
		return err
	}
	steps, err := w.steps(ctx, v)
	if err != nil {
		return err
	}
	used := w.stopWorkers()
	requests := v.Segments[0].Report.Upload.Requests
	l.add(Figure{
		Scenario: "unthrottled", What: "first export with 8 fields, from Parquet to the acknowledged list", Measured: seconds, Unit: "s",
		Note: fmt.Sprintf("%s requests, %.1f CPU seconds, %.0f MB; %s", grouped(requests), used.CPU, used.Peak, steps),
	})
	l.add(Figure{Scenario: "unthrottled", What: "history events of that run", Measured: float64(h.events), Unit: "events", Target: 200 * math.Max(1, float64(l.Rows)/1e6)})
	l.first8 = seconds
	l.add(Figure{Scenario: "unthrottled", What: "memory of the worker", Measured: used.Peak, Unit: "MB", Target: 200})
	l.peak = used.Peak
	return nil
}

// refresh measures refreshes at Iterable's limits: with nothing changed, and with 1 %
// of the people changed.
func (l *lab) refresh(ctx context.Context) error {
	w, err := l.open(ctx, project{kept: true})
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.startWorkers(1); err != nil {
		return err
	}
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	e := w.export("refresh", dir, eightFields)
	if _, _, err := w.run(ctx, e); err != nil {
		return err
	}
	w.stopWorkers()
	limited := iterableLike
	limited.kept = true
	if err := w.become(ctx, limited); err != nil {
		return err
	}
	if err := w.startWorkers(1); err != nil {
		return err
	}
	floor, err := l.reading(ctx, dir, columnsOf(eightFields))
	if err != nil {
		return err
	}
	v, seconds, err := w.run(ctx, e)
	if err != nil {
		return err
	}
	if n := v.Segments[0].Report.Upload.Requests; n != 0 {
		return fmt.Errorf("nothing changed, and %d requests were made", n)
	}
	steps, err := w.steps(ctx, v)
	if err != nil {
		return err
	}
	l.add(Figure{
		Scenario: "refresh", What: "refresh with nothing changed", Measured: seconds, Unit: "s", Floor: floor, FloorOf: "reading the columns alone", Target: 4,
		Note: "no request; " + steps,
	})
	if e.Segments[0].Source, err = l.segment(ctx, l.Rows, 1, 2); err != nil {
		return err
	}
	v, seconds, err = w.run(ctx, e)
	if err != nil {
		return err
	}
	if steps, err = w.steps(ctx, v); err != nil {
		return err
	}
	n := float64(v.Segments[0].Report.Upload.Requests)
	l.add(Figure{
		Scenario: "refresh", What: "refresh with 1 % changed", Measured: seconds, Unit: "s", Floor: 4*floor + n/iterableLike.rate,
		FloorOf: "4 × reading, and the requests ÷ 5/s", Target: 1, Note: fmt.Sprintf("%.0f requests; %s", n, steps),
	})
	return nil
}

// memory measures what ten times as many rows need.
func (l *lab) memory(ctx context.Context) error {
	rows := 10 * l.Rows
	dir, err := l.segment(ctx, rows, 2, 1)
	if err != nil {
		return err
	}
	w, err := l.open(ctx, project{})
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.startWorkers(1); err != nil {
		return err
	}
	e := w.export("memory", dir, eightFields)
	if _, _, err := w.run(ctx, e); err != nil {
		return err
	}
	first := w.stopWorkers()
	if err := w.startWorkers(1); err != nil {
		return err
	}
	if _, _, err := w.run(ctx, e); err != nil {
		return err
	}
	again := w.stopWorkers()
	peak := math.Max(first.Peak, again.Peak)
	l.add(Figure{
		Scenario: "memory", What: fmt.Sprintf("memory of the worker with %s rows", grouped(rows)), Measured: peak, Unit: "MB",
		Note: fmt.Sprintf("first run %.0f MB, refresh %.0f MB", first.Peak, again.Peak),
	})
	if l.peak > 0 {
		l.add(Figure{
			Scenario: "memory", What: "memory for each row more", Measured: math.Max(0, peak-l.peak) * 1e6 / float64(rows-l.Rows), Unit: "bytes", Target: 64,
		})
	}
	return nil
}

// first measures a first export at Iterable's limits.
func (l *lab) first(ctx context.Context) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	p := iterableLike
	p.auto = true
	return l.paced(ctx, "first", "first export with 8 fields at 5 requests/s, learned", dir, eightFields, p, 0, 0)
}

// shared measures the same while others take two of the five requests a second.
func (l *lab) shared(ctx context.Context) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	return l.paced(ctx, "others", "the same while others take 2 of the 5 requests a second", dir, eightFields, iterableLike, 2, 1.10)
}

// large measures a million addresses where the limits have to be learned.
func (l *lab) large(ctx context.Context) error {
	dir, err := l.segment(ctx, l.Rows, 1, 1)
	if err != nil {
		return err
	}
	p := iterableLike
	p.auto = true
	return l.paced(ctx, "large", "addresses alone at 5 requests/s, learned", dir, nil, p, 0, 0)
}

// paced measures an export at a project's limits. taken is what others take of the
// requests a second.
func (l *lab) paced(ctx context.Context, scenario, what, dir string, fields []string, p project, taken, target float64) error {
	w, err := l.open(ctx, p)
	if err != nil {
		return err
	}
	defer w.close()
	if taken > 0 {
		if err := w.others(taken); err != nil {
			return err
		}
	}
	if err := w.startWorkers(1); err != nil {
		return err
	}
	e := w.export(scenario, dir, fields)
	v, seconds, err := w.run(ctx, e)
	if err != nil {
		return err
	}
	stats, err := w.stats()
	if err != nil {
		return err
	}
	steps, err := w.steps(ctx, v)
	if err != nil {
		return err
	}
	used := w.stopWorkers()
	r := v.Segments[0].Report.Upload
	l.add(Figure{
		Scenario: scenario, What: what, Measured: seconds, Unit: "s",
		Floor: float64(r.Requests) / (p.rate - taken), FloorOf: fmt.Sprintf("%s requests ÷ %g/s", grouped(r.Requests), p.rate-taken), Target: target,
		Note: fmt.Sprintf("%d of them answered 429; %.1f CPU seconds, %.0f MB; %s", stats.Endpoints["lists/subscribe"].Throttled, used.CPU, used.Peak, steps),
	})
	return nil
}

// fleet measures five exports at once by five workers over one connection.
func (l *lab) fleet(ctx context.Context) error {
	const n = 5
	w, err := l.open(ctx, iterableLike)
	if err != nil {
		return err
	}
	defer w.close()
	var exports []schemas.Export
	for i := range int64(n) {
		dir, err := l.segment(ctx, l.Rows/n, 10+i, 1)
		if err != nil {
			return err
		}
		exports = append(exports, w.export(fmt.Sprintf("of five %d", i+1), dir, eightFields))
	}
	if err := w.startWorkers(n); err != nil {
		return err
	}
	views, seconds := make([]operate.View, n), make([]float64, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i, e := range exports {
		all.Go(func() { views[i], seconds[i], errs[i] = w.run(ctx, e) })
	}
	all.Wait()
	var requests int64
	begin, end := views[0].StartedAt, views[0].FinishedAt
	least, most := math.Inf(1), 0.0
	for i, v := range views {
		if errs[i] != nil {
			return errs[i]
		}
		requests += v.Segments[0].Report.Upload.Requests
		if v.StartedAt.Before(begin) {
			begin = v.StartedAt
		}
		if v.FinishedAt.After(end) {
			end = v.FinishedAt
		}
		// All have as much to send, so the share that an export got until it was done
		// is the inverse of its time.
		least, most = math.Min(least, seconds[i]), math.Max(most, seconds[i])
	}
	stats, err := w.stats()
	if err != nil {
		return err
	}
	s := stats.Endpoints["lists/subscribe"]
	l.add(Figure{
		Scenario: "workers", What: "five exports at once by five workers over one connection", Measured: end.Sub(begin).Seconds(), Unit: "s",
		Floor: float64(requests) / iterableLike.rate, FloorOf: fmt.Sprintf("%s requests ÷ 5/s", grouped(requests)), Target: 1.08,
	})
	l.add(Figure{
		Scenario: "workers", What: "… time of the slowest of the five against the fastest", Measured: most / least, Unit: "×", Target: 1.2,
		Note: fmt.Sprintf("%.0f s to %.0f s", least, most),
	})
	l.add(Figure{
		Scenario: "workers", What: "… requests answered 429", Measured: 100 * float64(s.Throttled) / float64(s.Requests), Unit: "%", Target: 2,
	})
	return nil
}

// grouped writes a count with commas.
func grouped(n int64) string { return number(float64(n)) }
