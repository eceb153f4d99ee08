// Package lease bounds the time in which one attempt of an activity may have effects.
//
// Temporal starts an activity on another worker when its heartbeats stop. A process that was
// frozen meanwhile (SIGSTOP, a suspended machine, a closed lid) does not notice: it continues
// where it was, perhaps after another worker has finished this run and the next. So
// everything that changes Iterable or the data root calls Check first. It returns nil only if
// a heartbeat of this attempt was answered a short while ago by the wall clock, which, unlike
// Linux's monotonic clock, runs while a machine is suspended.
//
// What remains is the time between Check and the system call after it.
package lease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// ErrLost is the error of an effect that came too late: another worker has the attempt, or
// its run has ended.
var ErrLost = errors.New("this attempt is over: another one took its place, or the run has ended")

// ErrUnanswered is the error of an effect while it is unknown whether the attempt is still
// valid. It may be retried.
var ErrUnanswered = errors.New("it is not known whether this attempt still counts, since Temporal does not answer")

// Lease is the lease of one attempt. It is safe for concurrent use.
type Lease struct {
	length time.Duration
	beat   func(context.Context) error
	now    func() time.Time

	beating sync.Mutex // held while a heartbeat is on its way
	mu      sync.Mutex
	asked   time.Time // when the last heartbeat was sent that was answered
	lost    error
}

// New returns a lease that holds for length after a heartbeat. beat sends one heartbeat
// and returns when it is answered; an error that is ErrLost ends the lease for good, and
// any other one leaves it as it is. now reads the wall clock; nil is time.Now.
func New(length time.Duration, beat func(context.Context) error, now func() time.Time) *Lease {
	if now == nil {
		now = time.Now
	}
	// Round strips the monotonic reading.
	return &Lease{length: length, beat: beat, now: func() time.Time { return now().Round(0) }}
}

// Renew sends a heartbeat.
func (l *Lease) Renew(ctx context.Context) error {
	l.beating.Lock()
	defer l.beating.Unlock()
	return l.renew(ctx)
}

// renew sends a heartbeat. The caller holds beating.
func (l *Lease) renew(ctx context.Context) error {
	if _, lost := l.state(); lost != nil {
		return lost
	}
	asked := l.now()
	err := l.beat(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, ErrLost):
		l.lost = err
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	l.asked = asked
	return nil
}

// renewals bounds how often Check asks for an answer that comes within the lease.
const renewals = 3

// Check returns nil if the attempt may have an effect now. It sends a heartbeat first
// where the last answered one is too old.
func (l *Lease) Check(ctx context.Context) error {
	if holds, lost := l.state(); lost != nil || holds {
		return lost // without waiting for a heartbeat in flight
	}
	l.beating.Lock()
	defer l.beating.Unlock()
	for range renewals {
		if holds, lost := l.state(); lost != nil || holds {
			return lost
		}
		if err := l.renew(ctx); err != nil {
			return err
		}
	}
	if holds, lost := l.state(); lost != nil || holds {
		return lost
	}
	return fmt.Errorf("%w: each answer took longer than %s", ErrUnanswered, l.length)
}

// state reports whether the last answered heartbeat is recent enough, or whether the lease is
// lost. A clock that was set back makes a heartbeat too old.
func (l *Lease) state() (holds bool, lost error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := l.now().Sub(l.asked)
	return l.lost == nil && !l.asked.IsZero() && age >= 0 && age < l.length, l.lost
}

type key struct{}

// With returns a context whose effects need the lease.
func With(ctx context.Context, l *Lease) context.Context { return context.WithValue(ctx, key{}, l) }

// Check returns nil if an effect of this context may happen now. A context without a lease
// has no limit.
func Check(ctx context.Context) error {
	if l, _ := ctx.Value(key{}).(*Lease); l != nil {
		return l.Check(ctx)
	}
	return nil
}

// Transport returns a transport that checks the lease of each request that changes
// something, before it is sent and again when its body is: dialing and waiting for a
// connection take their time.
func Transport(base http.RoundTripper) http.RoundTripper { return transport{base} }

type transport struct{ base http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return t.base.RoundTrip(r)
	}
	ctx := r.Context()
	if err := Check(ctx); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	if r.Body != nil && r.Body != http.NoBody {
		guarded := r.Clone(ctx)
		guarded.Body = &body{ReadCloser: r.Body, ctx: ctx}
		if again := r.GetBody; again != nil {
			guarded.GetBody = func() (io.ReadCloser, error) {
				b, err := again()
				return &body{ReadCloser: b, ctx: ctx}, err
			}
		}
		r = guarded
	}
	return t.base.RoundTrip(r)
}

type body struct {
	io.ReadCloser
	ctx context.Context
}

func (b *body) Read(p []byte) (int, error) {
	if err := Check(b.ctx); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}
