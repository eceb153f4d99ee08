package lease

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// temporal answers heartbeats, and its clock is set by hand.
type temporal struct {
	now    time.Time
	beats  int
	took   time.Duration
	answer error
}

func (c *temporal) lease() *Lease {
	return New(5*time.Second, func(context.Context) error {
		c.beats++
		c.now = c.now.Add(c.took)
		return c.answer
	}, func() time.Time { return c.now })
}

func TestEffectsNeedAFreshHeartbeat(t *testing.T) {
	c := &temporal{now: time.Unix(1_000_000, 0)}
	l := c.lease()
	check := func(wantBeats int, want error) {
		t.Helper()
		if err := l.Check(t.Context()); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Fatalf("error %v, want %v", err, want)
		}
		if c.beats != wantBeats {
			t.Fatalf("%d heartbeats, want %d", c.beats, wantBeats)
		}
	}
	check(1, nil) // none was answered yet
	c.now = c.now.Add(4 * time.Second)
	check(1, nil)
	c.now = c.now.Add(time.Hour) // frozen
	check(2, nil)
	c.now = c.now.Add(-time.Minute) // the clock was set back
	check(3, nil)
	c.now = c.now.Add(time.Hour)
	c.answer = context.DeadlineExceeded
	check(4, context.DeadlineExceeded)
	c.answer = nil
	check(5, nil)
	c.now = c.now.Add(time.Hour)
	c.took = 6 * time.Second // each answer is too old when it comes
	if err := l.Check(t.Context()); err == nil {
		t.Fatal("a late answer counted")
	}
	c.took = 0
	c.answer = ErrLost
	beats := c.beats + 1
	check(beats, ErrLost)
	c.answer = nil
	check(beats, ErrLost) // for good
}

// TestALeaseReadsTheWallClock, since the monotonic clock stops while a machine is suspended.
func TestALeaseReadsTheWallClock(t *testing.T) {
	if now := New(time.Second, nil, nil).now().String(); strings.Contains(now, " m=") {
		t.Errorf("%s has a monotonic reading", now)
	}
}

func TestRequestsNeedTheLease(t *testing.T) {
	c := &temporal{now: time.Unix(1_000_000, 0)}
	l := c.lease()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			got = append(got, r.Method+" "+string(b))
		}
	}))
	defer server.Close()
	freeze := false
	client := &http.Client{Transport: Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		if freeze { // between the check and the sending of the body
			c.now, c.answer = c.now.Add(time.Hour), ErrLost
		}
		return http.DefaultTransport.RoundTrip(r)
	}))}
	send := func(method, body string) error {
		r, err := http.NewRequestWithContext(With(t.Context(), l), method, server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := send(http.MethodPost, "one"); err != nil {
		t.Fatal(err)
	}
	freeze = true
	if err := send(http.MethodPost, "two"); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	freeze = false
	if err := send(http.MethodDelete, ""); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	if err := send(http.MethodGet, ""); err != nil {
		t.Fatal("reading needs no lease:", err)
	}
	if want := "POST one,GET "; strings.Join(got, ",") != want {
		t.Fatalf("the server got %q, want %q", strings.Join(got, ","), want)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
