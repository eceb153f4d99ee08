package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// asKnown are the limits that are known of Iterable: five requests a second of 4 MB.
var asKnown = limits{rate: 5, latency: 300 * time.Millisecond}

// addressesInABody is how many addresses of a segment fit into a request, in whole batches.
const addressesInABody = 98_000

// unlimited is a project that only this machine slows down.
var unlimited = limits{rate: -1}

// staging measures a check, which does all that a run does before it sends.
func (b *bench) staging(ctx context.Context) error {
	dir, err := b.segment(ctx, b.rows, 1, 1)
	if err != nil {
		return err
	}
	floor, err := reading(ctx, dir)
	if err != nil {
		return err
	}
	p, err := b.open(unlimited)
	if err != nil {
		return err
	}
	defer p.close()
	// The run waits for a worker, so that the time to the first activity is the worker's.
	run, _, err := p.operator.Check(ctx, p.export("staging", dir, eightFields), false)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := p.startWorkers(1); err != nil {
		return err
	}
	d, err := p.await(ctx, run)
	if err != nil {
		return err
	}
	cpu, _ := p.stopWorkers()
	b.add(figure{What: "startup of a worker to its first activity", Measured: d.first.Sub(began).Seconds(), Unit: "s"})
	b.add(figure{
		What: "staging with 8 fields: read, validate, compare, write", Measured: d.steps[schemas.ActivityStageSegment], Unit: "s",
		Floor: floor, FloorOf: "reading the columns", Note: fmt.Sprintf("%.2f CPU seconds of the worker in all", cpu),
	})
	return nil
}

// reading returns the seconds that Arrow's own reader takes for the columns, the best
// of three.
func reading(ctx context.Context, dir string) (float64, error) {
	best := math.Inf(1)
	for range 3 {
		began := time.Now()
		files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
		for _, name := range files {
			err = errors.Join(err, readFile(ctx, name))
		}
		if err != nil {
			return 0, err
		}
		best = min(best, time.Since(began).Seconds())
	}
	return best, nil
}

func readFile(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	r, err := file.NewParquetReader(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	defer r.Close()
	arrowReader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 64 << 10, Parallel: true}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	columns := []int{r.MetaData().Schema.ColumnIndexByName("EmailAddress")}
	for _, c := range eightFields {
		columns = append(columns, r.MetaData().Schema.ColumnIndexByName(c))
	}
	records, err := arrowReader.GetRecordReader(ctx, columns, nil)
	if err != nil {
		return err
	}
	defer records.Release()
	for records.Next() {
	}
	if err := records.Err(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// memory measures what a row more costs: the peak of a worker that makes a first run
// and of one that refreshes, with the rows and with ten times as many.
func (b *bench) memory(ctx context.Context) error {
	var peaks []float64
	for _, rows := range []int64{b.rows, 10 * b.rows} {
		dir, err := b.segment(ctx, rows, 2, 1)
		if err != nil {
			return err
		}
		p, err := b.open(unlimited)
		if err != nil {
			return err
		}
		defer p.close()
		most := 0.0
		for range 2 {
			if err := p.startWorkers(1); err != nil {
				return err
			}
			if _, err := p.run(ctx, p.export("memory", dir, eightFields)); err != nil {
				return err
			}
			_, peak := p.stopWorkers()
			most = max(most, peak)
		}
		b.add(figure{What: fmt.Sprintf("memory of a worker, %d rows", rows), Measured: most, Unit: "MB"})
		peaks = append(peaks, most)
	}
	b.add(figure{What: "memory for a row more", Measured: (peaks[1] - peaks[0]) * 1e6 / float64(9*b.rows), Unit: "bytes"})
	return nil
}

// large measures addresses alone, limits to be learned.
func (b *bench) large(ctx context.Context) error {
	dir, err := b.segment(ctx, b.rows, 1, 1)
	if err != nil {
		return err
	}
	p, err := b.open(asKnown)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.startWorkers(1); err != nil {
		return err
	}
	return p.paced(ctx, "addresses alone at 5 requests/s of 4 MB, from a cold start", p.export("large", dir, nil))
}

// first measures a first export with eight fields, and refreshes of it.
func (b *bench) first(ctx context.Context) error {
	dir, err := b.segment(ctx, b.rows, 1, 1)
	if err != nil {
		return err
	}
	changed, err := b.segment(ctx, b.rows, 1, 2)
	if err != nil {
		return err
	}
	p, err := b.open(asKnown)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.startWorkers(1); err != nil {
		return err
	}
	e := p.export("first", dir, eightFields)
	if err := p.paced(ctx, "8 fields at 5 requests/s of 4 MB, from a cold start", e); err != nil {
		return err
	}
	if err := p.paced(ctx, "refresh with nothing changed", e); err != nil {
		return err
	}
	e.Segments[0].Source = changed
	return p.paced(ctx, "refresh with 1 % changed", e)
}

// small measures eight segments of three profiles at the documented limits of all endpoints, with
// new lists that Iterable does not know for up to 10 s.
func (b *bench) small(ctx context.Context) error {
	dir, err := b.segment(ctx, 3, 1, 1)
	if err != nil {
		return err
	}
	p, err := b.open(limits{documented: true})
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.startWorkers(1); err != nil {
		return err
	}
	e := p.export("small", dir, eightFields)
	for i := range 7 {
		e.Segments = append(e.Segments, schemas.Segment{Name: fmt.Sprintf("small %d", i+2), Source: dir})
	}
	for _, what := range []string{"new lists", "nothing changed"} {
		d, err := p.run(ctx, e)
		if err != nil {
			return err
		}
		var requests, refused int64
		for _, s := range p.sandbox.Stats(false).Endpoints {
			requests, refused = requests+s.Requests, refused+s.Throttled
		}
		b.add(figure{
			What: "8 segments of 3 profiles at the documented limits, " + what, Measured: d.seconds, Unit: "s",
			Note: fmt.Sprintf("%d requests so far, %d answered 429", requests, refused),
		})
	}
	return nil
}

// paced measures a run against its requests at the project's rate.
func (p *project) paced(ctx context.Context, what string, e schemas.Export) error {
	d, err := p.run(ctx, e)
	if err != nil {
		return err
	}
	p.add(figure{
		What: what, Measured: d.seconds, Unit: "s",
		Floor: float64(d.requests()) / p.rate, FloorOf: fmt.Sprintf("its requests ÷ %g/s", p.rate), Note: d.note(),
	})
	return nil
}

// timesFloor is how many times as long as the machine's own time hidden limits must make the
// work last: otherwise the ratio would say more about the machine than about the limits.
const timesFloor = 3

// limits measures what it costs to find a project's limits, from a cold start and with
// what that taught: the time from the first request to the last answer, against that
// of requests of the largest size at the rate that is left. Before that it measures the same
// work of the same workers without a limit of the rate, with the size told: the machine's own
// time. It leaves out limits at which the work takes less than timesFloor times that, or longer
// than b.longest: all of them would take hours, and internal/limits has them in virtual time.
func (b *bench) limits(ctx context.Context) error {
	for _, workers := range []int{1, 5} {
		for _, rows := range []int{1000, 5000, 0} {
			for _, each := range []time.Duration{0, 20 * time.Microsecond} {
				l := limits{rows: rows, perProfile: each, latency: 100 * time.Millisecond}
				machine := 0.0
				for _, taken := range []float64{0, 0.4} {
					for _, l.rate = range []float64{100, 20, 5, 2} {
						allowed := l.allow(b.rows, workers, l.rate*(1-taken))
						if allowed > b.longest.Seconds() {
							continue
						}
						if machine == 0 {
							var err error
							if machine, err = b.machine(ctx, l, workers); err != nil {
								return err
							}
						}
						if allowed < timesFloor*machine {
							continue
						}
						if err := b.hidden(ctx, l, workers, taken*l.rate, machine); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

// allow returns the seconds that workers with an equal part of the profiles need at the limits,
// with such a rate left.
func (l limits) allow(profiles int64, workers int, left float64) float64 {
	largest := float64(cmp.Or(l.rows, addressesInABody))
	requests := float64(workers) * math.Ceil(float64(profiles)/float64(workers)/largest)
	return requests/left + l.latency.Seconds() + largest*l.perProfile.Seconds()
}

// machine returns the seconds that workers need for the work without a limit of the rate, if
// they are told the size.
func (b *bench) machine(ctx context.Context, l limits, workers int) (float64, error) {
	l.rate, l.told = -1, true
	p, err := b.open(l)
	if err != nil {
		return 0, err
	}
	defer p.close()
	f, err := p.work(ctx, workers, "machine")
	return f.Measured, err
}

// hidden measures the work at limits that workers are not told.
func (b *bench) hidden(ctx context.Context, l limits, workers int, taken, machine float64) error {
	p, err := b.open(l)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if taken > 0 {
		go p.others(ctx, taken)
	}
	size := "any number"
	if l.rows > 0 {
		size = fmt.Sprint(l.rows)
	}
	for _, state := range []string{"cold", "remembered"} {
		f, err := p.work(ctx, workers, state)
		if err != nil {
			return err
		}
		f.What = fmt.Sprintf("hidden limits, %s: %d workers, others take %.1f/s, %g/s of %s, %v a profile", state, workers, taken, l.rate, size, l.perProfile)
		f.Floor, f.FloorOf, f.Machine = l.allow(b.rows, workers, l.rate-taken), "what they allow", machine
		f.Note += ", load " + load()
		b.add(f)
	}
	return nil
}

// work lets new workers send the rows, each an export of its own, and returns the time from the
// first request to the last answer.
func (p *project) work(ctx context.Context, workers int, name string) (figure, error) {
	if err := p.startWorkers(workers); err != nil {
		return figure{}, err
	}
	p.requests = nil
	errs := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		dir, err := p.segment(ctx, p.bench.rows/int64(workers), int64(10+i), 1)
		if err != nil {
			return figure{}, err
		}
		all.Go(func() { _, errs[i] = p.run(ctx, p.export(fmt.Sprint(name, i), dir, nil)) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return figure{}, err
	}
	p.stopWorkers()
	return p.found(), nil
}

// found sums up the requests.
func (p *project) found() figure {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, last, throttled := p.requests[0].answered, p.requests[0].answered, 0
	for _, r := range p.requests {
		last = r.answered
		if r.status == 429 {
			throttled++
		}
	}
	return figure{
		Measured: last.Sub(first).Seconds() + p.latency.Seconds(), Unit: "s",
		Note: fmt.Sprintf("%d requests, %d answered 429", len(p.requests), throttled),
	}
}
