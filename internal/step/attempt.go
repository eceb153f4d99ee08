// Package step has what the activities of a run share: an attempt at one, with its lease, its
// heartbeats and its deadline, and the errors for which a run waits for an operator.
package step

import (
	"cmp"
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
	// heartbeat timeout, so that one or two slow answers do no harm.
	beatEvery = 2500 * time.Millisecond
	// beatTimeout bounds one heartbeat.
	beatTimeout = 4 * time.Second
)

// Attempt is one attempt at an activity: its lease, its heartbeats, and since when the activity
// has been failing.
type Attempt struct {
	beat     func(ctx context.Context, details ...any) error
	now      func() time.Time
	deadline time.Duration // how long failures are retried; 0 is forever
	details  func() any    // the progress in heartbeats and errors; nil where there is none
	cancel   context.CancelCauseFunc
	lease    *lease.Lease
	wake     chan struct{}
	done     chan struct{}
	finished chan struct{}

	mu sync.Mutex
	// failing is the time of the first failure since the last success, or zero, and problem and
	// earlier are the last failure since then, of this attempt and of those before it. The next
	// attempt learns of them from the heartbeats: the deadline can end between two attempts.
	failing          time.Time
	problem, earlier string
}

// Options are how an attempt reaches Temporal and reads the time.
type Options struct {
	// Heartbeat sends a heartbeat of the activity with that context and returns the answer:
	// serviceerror.NotFound if the attempt is no longer valid. Nil is the SDK's, which does
	// not return the answer.
	Heartbeat func(ctx context.Context, details ...any) error
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
}

// Begin starts an attempt at an activity. Failures are retried for as long as the deadline; 0
// is forever. details returns the activity's progress; nil if it has none. All effects on
// Iterable and the data root need the returned context. End ends the attempt.
func Begin(ctx context.Context, deadline schemas.Duration, details func() any, o Options) (context.Context, *Attempt) {
	info := activity.GetInfo(ctx)
	t := &Attempt{
		beat: o.Heartbeat, now: o.Now, deadline: time.Duration(deadline), details: details,
		wake: make(chan struct{}, 1), done: make(chan struct{}), finished: make(chan struct{}),
	}
	if t.now == nil {
		// Temporal's time and not this machine's, which may be changed: the measured time began
		// in another attempt, on another machine.
		began := time.Now()
		t.now = func() time.Time { return info.StartedTime.Add(time.Since(began)) }
	}
	if t.beat == nil {
		t.beat = func(ctx context.Context, details ...any) error { activity.RecordHeartbeat(ctx, details...); return nil }
	}
	var progress any
	if activity.HasHeartbeatDetails(ctx) {
		_ = activity.GetHeartbeatDetails(ctx, &progress, &t.failing, &t.earlier) // an unknown form counts as none
	}
	if info.Attempt > 1 && t.failing.IsZero() {
		t.failing, t.earlier = t.now(), "an attempt ended without reporting why"
	}
	ctx, t.cancel = context.WithCancelCause(ctx)
	t.lease = lease.New(Lease(info), t.heartbeat(ctx), o.Now)
	if info.HeartbeatTimeout > 0 { // else Temporal never starts another attempt
		ctx = lease.With(ctx, t.lease)
	}
	if t.late() {
		t.cancel(errDeadline)
	}
	go t.keepAlive(ctx)
	return ctx, t
}

// Lease returns how long an attempt may have effects after a heartbeat was answered.
func Lease(info activity.Info) time.Duration { return info.HeartbeatTimeout / 2 }

// heartbeat returns a function that sends one heartbeat.
func (t *Attempt) heartbeat(activityContext context.Context) func(context.Context) error {
	return func(context.Context) error {
		// The caller may be cancelled, and still has to know whether its lease holds.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(activityContext), beatTimeout)
		defer cancel()
		var progress any
		if t.details != nil {
			progress = t.details()
		}
		since, problem := t.trouble()
		err := t.beat(ctx, progress, since, problem, t.troubled())
		var gone *serviceerror.NotFound
		switch {
		case temporal.IsCanceledError(err), errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
			t.cancel(err) // the lease holds until the activity returns
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

// keepAlive sends heartbeats until End is called.
func (t *Attempt) keepAlive(ctx context.Context) {
	defer close(t.finished)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		_ = t.lease.Renew(ctx) // a lost lease shows at the next effect
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

// ReportSoon sends the progress once the previous heartbeat is answered. It does not wait: a
// slow Temporal must not slow requests down.
func (t *Attempt) ReportSoon() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Failed and Worked record the outcome of a request.
func (t *Attempt) Failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = Message(err)
	if t.failing.IsZero() {
		t.failing = t.now()
	}
}

func (t *Attempt) Worked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing, t.problem, t.earlier = time.Time{}, "", ""
}

// trouble returns since when the activity has been failing, and its last problem; both are zero
// after a success.
func (t *Attempt) trouble() (since time.Time, problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failing, cmp.Or(t.problem, t.earlier)
}

// late reports whether failures have lasted for the whole deadline.
func (t *Attempt) late() bool {
	since, _ := t.trouble()
	return t.deadline > 0 && !since.IsZero() && t.now().Sub(since) >= t.deadline
}

// troubled reports whether this attempt has failed since its last success. An attempt that
// makes progress is not stopped because the previous one died.
func (t *Attempt) troubled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem != ""
}

// errDeadline cancels an attempt after its activity has failed for the whole deadline.
var errDeadline = errors.New("the export's deadline is over")

// End ends the attempt and turns its error into one for the workflow: with the progress, and
// final once failures have lasted for the whole deadline.
func (t *Attempt) End(ctx context.Context, err *error) {
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
		*err = cause // the SDK treats a cancelled context as a cancelled activity
	}
	var app *temporal.ApplicationError
	switch {
	case temporal.IsCanceledError(cause):
		*err = temporal.NewCanceledError(progress...) // for the run's report
		return
	case errors.Is(*err, ErrWorkerStops):
	case errors.Is(*err, storage.ErrKey): // permanent
		*err = NeedOperator(schemas.ErrorDataKey, Message(*err)+", start the worker again and retry", progress...)
		return
	case errors.As(*err, &app) && app.NonRetryable():
		*err = NeedOperator(app.Type(), app.Message(), progress...)
		return
	case !errors.Is(*err, lease.ErrLost) && !errors.Is(cause, errDeadline):
		t.Failed(*err)
	}
	if t.late() || errors.Is(cause, errDeadline) {
		message := fmt.Sprintf("it has failed for %s, the export's deadline", t.deadline)
		if _, problem := t.trouble(); problem != "" {
			message += "; the last problem: " + problem
		}
		*err = NeedOperator(schemas.ErrorDeadline, message, progress...)
		return
	}
	_ = t.lease.Renew(ctx) // pass on since when it fails, and why
	var delay time.Duration
	if app != nil {
		delay = app.NextRetryDelay()
	}
	// Without a type: readers of the run take that for a text of this program.
	*err = temporal.NewApplicationErrorWithOptions(Message(*err), "", temporal.ApplicationErrorOptions{NextRetryDelay: delay, Details: progress})
}

// AttemptID returns a unique name for the attempt, of 32 hexadecimal digits.
func AttemptID(ctx context.Context) string {
	info := activity.GetInfo(ctx)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%d", info.WorkflowExecution.ID, info.WorkflowExecution.RunID, info.ActivityID, info.Attempt))
	return hex.EncodeToString(sum[:16])
}
