package step

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"iterable-segment-export/schemas"
)

const deadline = time.Hour

var payloads = converter.GetDefaultDataConverter()

// attempts runs attempts at an activity, one after the other: each knows the last heartbeat of
// the one before it.
type attempts struct {
	now    time.Time
	number int32
	beat   atomic.Pointer[common.Payloads] // the details of the last heartbeat
}

// run runs the next attempt, which does do. The activity's progress is the attempt's number.
func (a *attempts) run(do func(context.Context, *Attempt) error) error {
	a.number++
	return a.runWith(func() any { return a.number }, do)
}

func (a *attempts) runWith(details func() any, do func(context.Context, *Attempt) error) error {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&door{attempts: a}}})
	env.RegisterActivityWithOptions(func(ctx context.Context) (err error) {
		ctx, t := Begin(ctx, schemas.Duration(deadline), details, Options{
			Now: func() time.Time { return a.now },
			Heartbeat: func(_ context.Context, details ...any) error {
				p, err := payloads.ToPayloads(details...)
				a.beat.Store(p)
				return err
			},
		})
		defer t.End(ctx, &err)
		return do(ctx, t)
	}, activity.RegisterOptions{Name: "step"})
	_, err := env.ExecuteActivity("step")
	return err
}

// fails fails an attempt with a problem that a retry may cure.
func (a *attempts) fails(t *testing.T, problem string) {
	t.Helper()
	err := a.run(func(context.Context, *Attempt) error { return errors.New(problem) })
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.NonRetryable() || app.Message() != problem {
		t.Fatalf("an attempt with the problem %q: %v", problem, err)
	}
}

// dies runs an attempt whose worker dies after do and one heartbeat.
func (a *attempts) dies(t *testing.T, do func(*Attempt)) {
	t.Helper()
	var last *common.Payloads
	if err := a.run(func(ctx context.Context, t *Attempt) error {
		do(t)
		err := t.lease.Renew(ctx)
		last = a.beat.Load()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a.beat.Store(last)
}

// startsLate runs an attempt that starts when the deadline is over.
func (a *attempts) startsLate(t *testing.T, want string) {
	t.Helper()
	a.now = a.now.Add(deadline)
	err := a.run(func(ctx context.Context, _ *Attempt) error {
		<-ctx.Done()
		return errors.New("what it did was cut off")
	})
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != schemas.ErrorDeadline || !app.NonRetryable() || app.Message() != want {
		t.Errorf("%v, want %q", err, want)
	}
	var progress int32
	if err := app.Details(&progress); err != nil || progress != a.number {
		t.Errorf("progress %d, %v", progress, err)
	}
}

// TestADeadlineThatEndsBetweenAttempts: the attempt that finds it over names the problem of the
// attempts before it.
func TestADeadlineThatEndsBetweenAttempts(t *testing.T) {
	const over = "it has failed for 1h0m0s, the export's deadline"
	for name, c := range map[string]struct {
		before func(*attempts)
		want   string
	}{
		"one has failed": {func(a *attempts) { a.fails(t, "HTTP 503") }, over + "; the last problem: HTTP 503"},
		"two have failed": {func(a *attempts) {
			a.fails(t, "HTTP 503")
			a.fails(t, "HTTP 502")
		}, over + "; the last problem: HTTP 502"},
		"one has failed, another died": {func(a *attempts) {
			a.fails(t, "HTTP 503")
			a.dies(t, func(*Attempt) {})
		}, over + "; the last problem: HTTP 503"},
		"two died, the first before a heartbeat": {func(a *attempts) {
			a.number++
			a.dies(t, func(*Attempt) {})
		}, over + "; the last problem: an attempt ended without reporting why"},
		"one of an earlier version has failed": {func(a *attempts) {
			a.fails(t, "HTTP 503")
			a.beat.Store(&common.Payloads{Payloads: a.beat.Load().Payloads[:2]})
		}, over},
	} {
		t.Run(name, func(t *testing.T) {
			a := &attempts{now: time.Unix(1_000_000, 0)}
			c.before(a)
			a.startsLate(t, c.want)
		})
	}
}

// TestASuccessEndsWhatFailed: an attempt after a success passes on no failure.
func TestASuccessEndsWhatFailed(t *testing.T) {
	a := &attempts{now: time.Unix(1_000_000, 0)}
	a.fails(t, "HTTP 503")
	a.dies(t, (*Attempt).Worked)
	var progress any
	failing, problem, failed := time.Now(), "not read", true
	if err := payloads.FromPayloads(a.beat.Load(), &progress, &failing, &problem, &failed); err != nil || !failing.IsZero() || problem != "" || failed {
		t.Errorf("failing since %s with %q, failed %t, %v", failing, problem, failed, err)
	}
	a.now = a.now.Add(deadline)
	a.fails(t, "HTTP 502")
}

// TestHeartbeatsTellWhichAttemptFailed: one that has not failed yet passes on what failed before it.
func TestHeartbeatsTellWhichAttemptFailed(t *testing.T) {
	a := &attempts{now: time.Unix(1_000_000, 0)}
	is := func(want bool) {
		t.Helper()
		var progress any
		var failing time.Time
		var problem string
		failed := !want
		if err := payloads.FromPayloads(a.beat.Load(), &progress, &failing, &problem, &failed); err != nil || failed != want || problem != "HTTP 503" {
			t.Errorf("failed %t, want %t; %q since %s, %v", failed, want, problem, failing, err)
		}
	}
	a.fails(t, "HTTP 503")
	is(true)
	a.dies(t, func(*Attempt) {})
	is(false)
}

// TestAnErrorHasOnlyItsText, whatever Go type it has, and whether the activity has progress or not.
func TestAnErrorHasOnlyItsText(t *testing.T) {
	for name, problem := range map[string]error{
		"Go":       fmt.Errorf("HTTP %d%w", 503, errors.New("")),
		"Temporal": fmt.Errorf("send: %w", temporal.NewApplicationError("HTTP 503", "transient")),
	} {
		for _, details := range []func() any{nil, func() any { return 1 }} {
			a := &attempts{now: time.Unix(1_000_000, 0), number: 1}
			err := a.runWith(details, func(context.Context, *Attempt) error { return problem })
			var app *temporal.ApplicationError
			if !errors.As(err, &app) || app.Type() != "" || app.Message() != "HTTP 503" || app.NonRetryable() || app.HasDetails() != (details != nil) {
				t.Errorf("%s: %#v", name, err)
			}
		}
	}
}

// TestAnEarlierVersionReadsHeartbeats without their last part, which it does not know.
func TestAnEarlierVersionReadsHeartbeats(t *testing.T) {
	a := &attempts{now: time.Unix(1_000_000, 0)}
	a.fails(t, "HTTP 503")
	var progress any
	var failing time.Time
	if err := payloads.FromPayloads(a.beat.Load(), &progress, &failing); err != nil || !failing.Equal(a.now) {
		t.Errorf("failing since %s, %v", failing, err)
	}
}

// door, inbound and outbound answer an activity's questions about its attempt.
type door struct {
	interceptor.WorkerInterceptorBase
	*attempts
}

func (d *door) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &inbound{attempts: d.attempts}
	i.Next = next
	return i
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	*attempts
}

func (i *inbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	o := &outbound{attempts: i.attempts}
	o.Next = out
	return i.Next.Init(o)
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	*attempts
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.Attempt = o.number
	return info
}

func (o *outbound) HasHeartbeatDetails(context.Context) bool { return o.beat.Load() != nil }

func (o *outbound) GetHeartbeatDetails(_ context.Context, details ...any) error {
	return payloads.FromPayloads(o.beat.Load(), details...)
}
