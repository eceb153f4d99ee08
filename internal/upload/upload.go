package upload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// mostInFlight is the maximum of requests in flight of one chunk; the limiter has the maximum
// of the connection.
const mostInFlight = 64

const (
	// LookEvery is how often an upload stores Iterable's answers, and checks that the
	// connection's consent holds and that the list is still the export's. It bounds what is
	// sent after either ends, and what is sent again after a worker was killed.
	LookEvery = 2500 * time.Millisecond
	// noteTimeout is the time limit for storing the answers of a cancelled attempt.
	noteTimeout = 30 * time.Second
)

// uploader sends the batches of one chunk, several requests at a time.
type uploader struct {
	in       schemas.UploadInput
	client   *iterable.Client
	staged   *ledger.StagedFile
	progress *tracker
	pace     *paceLog
	metrics  *observe.Metrics
	// refuse stores the refused rows of a batch; without rows it deletes those of an earlier
	// attempt.
	refuse func(context.Context, int, *batch.Batch, []ledger.Refusal) error
	// refused are the batches with refused rows of an earlier attempt.
	refused map[int]bool
	// known is set once Iterable has acknowledged something for the list.
	known   atomic.Bool
	probe   chan struct{} // held by the request that finds out; has room for one
	turns   sync.Mutex    // guards the context of waiting for turns
	wait    context.Context
	endWait context.CancelFunc
	ended   bool // no more waiting
	attempt Attempt
	// note stores Iterable's answers. mayGoOn returns an error once consent is withdrawn, or
	// another export fills the list.
	note, mayGoOn func(context.Context) error
}

// run sends until every batch is acknowledged, a permanent error occurs, or the worker
// stops. It always waits for requests in flight, so that their outcome is known.
func (u *uploader) run(ctx context.Context) error {
	stop, end := context.WithCancel(ctx)
	defer end()
	var once sync.Once
	var first error
	fail := func(err error) { once.Do(func() { first = err; end() }) }
	var wg sync.WaitGroup
	sent := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { u.look(ctx, sent, fail) })
	watch.Go(func() {
		select {
		case <-sent:
		case <-stop.Done():
		case <-activity.GetWorkerStopChannel(ctx): // waiting goroutines would still send
			fail(step.ErrWorkerStops)
		}
		u.noMoreTurns()
	})
	for range max(1, min(u.in.End-u.in.First, mostInFlight)) {
		wg.Go(func() {
			body := &batch.Body{}
			for {
				select {
				case <-stop.Done():
					return
				case <-activity.GetWorkerStopChannel(ctx):
					fail(step.ErrWorkerStops)
					return
				default:
				}
				more, err := u.sendSome(ctx, stop, body)
				if err != nil {
					fail(err)
				}
				if !more {
					return
				}
				u.attempt.ReportSoon()
			}
		})
	}
	wg.Wait()
	u.nothingLeft()
	close(sent)
	watch.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// look stores answers and checks consent and ownership until all is sent.
func (u *uploader) look(ctx context.Context, sent <-chan struct{}, fail func(error)) {
	tick := time.NewTicker(LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-sent:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := u.note(ctx)
		if err == nil {
			err = u.mayGoOn(ctx)
		}
		if err != nil {
			fail(err)
			return
		}
	}
}

// alone lets one request at a time through as long as Iterable has acknowledged nothing
// for a list that it may not know yet, and returns what ends that.
func (u *uploader) alone() (end func()) {
	unknown := func() bool { return !u.known.Load() && u.young() }
	if !unknown() {
		return func() {}
	}
	u.probe <- struct{}{}
	end = func() { <-u.probe }
	if !unknown() {
		end()
		return func() {}
	}
	return end
}

// waiting returns the context of waiting for a turn, which ends when all batches are
// assigned.
func (u *uploader) waiting(ctx context.Context) context.Context {
	u.turns.Lock()
	defer u.turns.Unlock()
	if u.wait == nil || u.wait.Err() != nil && !u.ended {
		u.wait, u.endWait = context.WithCancel(ctx)
	}
	if u.ended {
		u.endWait()
	}
	return u.wait
}

// noMoreTurns ends all waiting for turns for good.
func (u *uploader) noMoreTurns() {
	u.turns.Lock()
	u.ended = true
	u.turns.Unlock()
	u.nothingLeft()
}

// nothingLeft ends the present waiting for turns.
func (u *uploader) nothingLeft() {
	u.turns.Lock()
	defer u.turns.Unlock()
	if u.endWait != nil {
		u.endWait()
	}
}

// sendSome sends as many batches as one request carries and records the outcome. It reports
// whether there may be more.
func (u *uploader) sendSome(ctx, stop context.Context, body *batch.Body) (more bool, err error) {
	if !u.progress.left() {
		return false, nil
	}
	defer u.alone()()
	waiting := u.waiting(ctx)
	turn, err := u.client.Turn(waiting, u.endpoint())
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return true, nil // all batches are assigned
		}
		return false, err
	}
	s := &sending{uploader: u, stop: stop, turn: turn, held: true, body: body}
	defer func() {
		if s.held {
			s.turn.Cancel()
		}
	}()
	batches, err := u.load(turn, body)
	if !u.progress.left() {
		u.nothingLeft()
	}
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	if err != nil || len(batches) == 0 {
		return false, err
	}
	switch err := s.sendAll(ctx, batches); {
	case errors.Is(err, errSmaller):
		u.progress.note(s.counts)
		u.progress.giveBack(batches)
		return true, nil
	case err != nil:
		u.progress.note(s.counts, batches...)
		return false, err
	}
	for _, b := range batches {
		if len(b.refusals) > 0 || u.refused[b.k] {
			if err := u.refuse(context.WithoutCancel(ctx), b.k, b.Batch, b.refusals); err != nil {
				return false, err
			}
		}
	}
	counts := s.counts
	for _, b := range batches {
		counts.Add(b.counts)
	}
	u.progress.acknowledge(batches, counts)
	u.metrics.Profiles(ctx, u.in.Run.Export, observe.Sent, counts.Sent)
	u.metrics.Profiles(ctx, u.in.Run.Export, observe.Removed, counts.Removed)
	u.metrics.Rejects(ctx, u.in.Run.Export, counts.Refused)
	return true, nil
}

// sendAll sends batches in one request, or a single one in several where its turns
// allow fewer profiles or bytes than it has.
func (s *sending) sendAll(ctx context.Context, batches []*loaded) error {
	if len(batches) > 1 {
		parts := make([]part, len(batches))
		for i, b := range batches {
			parts[i] = part{b, 0, b.Len()}
		}
		return s.send(ctx, parts)
	}
	b := batches[0]
	for from := 0; from < b.Len(); {
		if err := s.next(ctx); err != nil {
			return err
		}
		to := min(from+s.turn.Profiles, b.Len())
		if s.turn.Bytes > 0 {
			s.reset(s.body)
			n := 0
			for from+n < to && s.body.Add(b.Batch, from+n, from+n+1, s.turn.Bytes) {
				n++
			}
			to = from + n // the first one always fits
		}
		if err := s.send(ctx, []part{{b, from, to}}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// load takes batches for one request: at least one, and others as long as they have
// no more profiles and bytes together than the turn and the settings allow.
func (u *uploader) load(turn limits.Turn, body *batch.Body) (batches []*loaded, err error) {
	most, mostBytes := turn.Profiles, u.in.Connection.Limits.WithDefaults().MaxBodyBytes
	if turn.Bytes > 0 {
		mostBytes = min(mostBytes, turn.Bytes)
	}
	u.reset(body)
	for rows := 0; rows < most; {
		k, ok := u.progress.take()
		if !ok {
			break
		}
		b, err := u.staged.Batch(k)
		if err != nil {
			return batches, ledger.StagingError(fmt.Sprintf("batch %d of the staged file", k), err)
		}
		one := &loaded{k: k, Batch: b, matcher: batch.NewMatcher(b)}
		if len(batches) > 0 && (rows+b.Len() > most || !body.Add(b, 0, b.Len(), mostBytes)) {
			u.progress.giveBack([]*loaded{one})
			b.Release()
			break
		}
		if len(batches) == 0 {
			body.Add(b, 0, b.Len(), math.MaxInt)
		}
		batches, rows = append(batches, one), rows+b.Len()
	}
	return batches, nil
}
