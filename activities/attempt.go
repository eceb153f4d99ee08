package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

const (
	// beatEvery is how often an attempt sends a heartbeat: a quarter of the workflows'
	// heartbeat timeout, so that a slow answer or two does no harm.
	beatEvery = 2500 * time.Millisecond
	// beatTimeout bounds one heartbeat.
	beatTimeout = 4 * time.Second
)

// attempt is one try of an activity: its lease, its heartbeats, and since when what it
// does has been failing.
type attempt struct {
	beat     func(ctx context.Context, details ...any) error
	now      func() time.Time
	deadline time.Duration // how long failures are retried; 0 is for ever
	details  func() any    // the progress in heartbeats and errors; nil where there is none
	cancel   context.CancelCauseFunc
	lease    *lease.Lease
	wake     chan struct{}
	done     chan struct{}
	finished chan struct{}

	mu sync.Mutex
	// failing is when the first failure was noticed after which nothing has succeeded;
	// zero while all goes well. It travels to the next attempt in the heartbeats.
	failing time.Time
	problem string // the last one of this attempt, since when nothing has succeeded
}

// begin starts an attempt. Everything that it does to Iterable or the data root needs the
// context that is returned, and end stops it.
func (a *Activities) begin(ctx context.Context, deadline schemas.Duration, details func() any) (context.Context, *attempt) {
	info := activity.GetInfo(ctx)
	t := &attempt{
		beat: a.Heartbeat, now: a.Now, deadline: time.Duration(deadline), details: details,
		wake: make(chan struct{}, 1), done: make(chan struct{}), finished: make(chan struct{}),
	}
	if t.now == nil {
		// Temporal's time and not this machine's, whose clock may be set meanwhile: what is
		// measured with it began in another attempt, on another machine.
		began := time.Now()
		t.now = func() time.Time { return info.StartedTime.Add(time.Since(began)) }
	}
	if t.beat == nil {
		t.beat = func(ctx context.Context, details ...any) error { activity.RecordHeartbeat(ctx, details...); return nil }
	}
	var progress any
	if activity.HasHeartbeatDetails(ctx) {
		_ = activity.GetHeartbeatDetails(ctx, &progress, &t.failing) // of an unknown form: as if there were none
	}
	if info.Attempt > 1 && t.failing.IsZero() {
		t.failing = t.now() // the attempt before this one did not live to say
	}
	ctx, t.cancel = context.WithCancelCause(ctx)
	t.lease = lease.New(leaseOf(info), t.heartbeat(ctx), a.Now)
	if info.HeartbeatTimeout > 0 { // or Temporal takes it from nobody
		ctx = lease.With(ctx, t.lease)
	}
	if t.late() {
		t.cancel(errDeadline)
	}
	go t.keepAlive(ctx)
	return ctx, t
}

// leaseOf is how long an attempt may have effects after a heartbeat was answered.
func leaseOf(info activity.Info) time.Duration { return info.HeartbeatTimeout / 2 }

// clock is the wall clock.
func (a *Activities) clock() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// heartbeat returns what sends one heartbeat.
func (t *attempt) heartbeat(activityContext context.Context) func(context.Context) error {
	return func(context.Context) error {
		// Whoever asks may be cancelled, and has to know all the same whether what it has
		// begun still counts.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(activityContext), beatTimeout)
		defer cancel()
		var progress any
		if t.details != nil {
			progress = t.details()
		}
		err := t.beat(ctx, progress, t.failingSince())
		var gone *serviceerror.NotFound
		switch {
		case temporal.IsCanceledError(err), errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
			t.cancel(err) // it still counts until it has returned
			return nil
		case errors.As(err, &gone):
			err = fmt.Errorf("%w (%v)", lease.ErrLost, err)
			t.cancel(err)
		case errors.Is(err, lease.ErrLost):
			t.cancel(err)
		}
		return err
	}
}

// keepAlive sends heartbeats until end is called.
func (t *attempt) keepAlive(ctx context.Context) {
	defer close(t.finished)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		_ = t.lease.Renew(ctx) // what can't be renewed shows at the next effect
		if t.late() && t.troubled() {
			t.cancel(errDeadline)
		}
		select {
		case <-tick.C:
		case <-t.wake:
		case <-t.done:
			return
		}
	}
}

// tell has the progress sent as soon as the heartbeat before is answered. Nobody waits for
// that: a far Temporal must not slow requests down.
func (t *attempt) tell() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// failed and worked note how a request went.
func (t *attempt) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = messageOf(err)
	if t.failing.IsZero() {
		t.failing = t.now()
	}
}

func (t *attempt) worked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing, t.problem = time.Time{}, ""
}

func (t *attempt) failingSince() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failing
}

// late reports whether failures have lasted for the whole deadline.
func (t *attempt) late() bool {
	since := t.failingSince()
	return t.deadline > 0 && !since.IsZero() && t.now().Sub(since) >= t.deadline
}

// troubled reports whether this attempt has failed at something, and at nothing else since:
// one that gets on is not stopped because the one before it died.
func (t *attempt) troubled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem != ""
}

// errDeadline cancels an attempt whose activity has failed for the whole deadline.
var errDeadline = errors.New("the export's deadline is over")

// end ends the attempt, and makes its error one for the workflow: with the progress, and
// final once failures have lasted for the whole deadline.
func (t *attempt) end(ctx context.Context, err *error) {
	close(t.done)
	<-t.finished
	defer t.cancel(nil)
	if *err == nil {
		return
	}
	var progress []any
	if t.details != nil {
		progress = []any{t.details()}
	}
	cause := context.Cause(ctx)
	if cause != nil && errors.Is(*err, context.Canceled) {
		*err = cause // the SDK takes a cancelled context for a cancelled activity
	}
	var app *temporal.ApplicationError
	switch {
	case temporal.IsCanceledError(cause):
		*err = temporal.NewCanceledError(progress...) // for the run's report
		return
	case errors.Is(*err, errWorkerStops):
	case errors.Is(*err, storage.ErrKey): // no retry brings a key
		*err = needOperator(schemas.ErrorDataKey, messageOf(*err)+", start the worker again and retry", progress...)
		return
	case errors.As(*err, &app) && app.NonRetryable():
		*err = needOperator(app.Type(), app.Message(), progress...)
		return
	case !errors.Is(*err, lease.ErrLost):
		if !errors.Is(*err, errDeadline) {
			t.failed(*err)
		}
	}
	if t.late() || errors.Is(cause, errDeadline) {
		message := fmt.Sprintf("it has failed for %s, the export's deadline", t.deadline)
		if t.problem != "" {
			message += "; the last problem: " + t.problem
		}
		*err = needOperator(schemas.ErrorDeadline, message, progress...)
		return
	}
	_ = t.lease.Renew(ctx) // since when it fails is for the next attempt
	if app != nil {
		*err = temporal.NewApplicationErrorWithOptions(app.Message(), app.Type(),
			temporal.ApplicationErrorOptions{NextRetryDelay: app.NextRetryDelay(), Details: progress})
	} else if t.details != nil {
		*err = temporal.NewApplicationErrorWithOptions(messageOf(*err), "", temporal.ApplicationErrorOptions{Details: progress})
	}
}

// messageOf is an error's text without what Temporal adds to it.
func messageOf(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}

// attemptID is a name for the attempt that no other one has, of 32 hexadecimal digits.
func attemptID(ctx context.Context) string {
	info := activity.GetInfo(ctx)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%d", info.WorkflowExecution.ID, info.WorkflowExecution.RunID, info.ActivityID, info.Attempt))
	return hex.EncodeToString(sum[:16])
}
