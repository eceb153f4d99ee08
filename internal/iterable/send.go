package iterable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/limits"
)

// Endpoint is one of the two calls that uploads make.
type Endpoint string

// Endpoints with learned limits. The values are those of schemas' kinds.
const (
	Subscribe   Endpoint = "subscribe"
	Unsubscribe Endpoint = "unsubscribe"
)

func (e Endpoint) call() api.Endpoint {
	if e == Unsubscribe {
		return api.Unsubscribe
	}
	return api.Subscribe
}

// Pauses before a request that failed is sent again: half to all of first,
// doubled with every failure, at most longest. Iterable knows most new lists within 10 s, and its
// own tests wait for up to 30 s, so the first pauses for a new list are shorter.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	newListPause = 3 * time.Second // the longest of the first newListTries
	newListTries = 16
)

// Request is a request of Send.
type Request struct {
	Endpoint Endpoint
	Body     []byte
	// Profiles is the number of profiles in the body.
	Profiles int
	// Young reports whether the list may be too new for Iterable to know.
	Young func() bool
	// Repeat, if not nil, ends the pauses before a retry and the wait for another turn: then
	// Send returns the last error. It does not cancel a request in progress.
	Repeat context.Context
	// Observe, if not nil, is called after every request with nil, an *Error, or the context's
	// error. It must be safe for concurrent use if Send is called concurrently.
	Observe func(error)
}

// Turn blocks until a request may be sent, and returns its turn with its size, or the
// context's error.
func (c *Client) Turn(ctx context.Context, endpoint Endpoint) (limits.Turn, error) {
	turn, err := c.Limiter(endpoint).Wait(ctx)
	if err != nil {
		return turn, endOf(ctx, endpoint, nil)
	}
	return turn, nil
}

// Send sends one request in its turn, and retries, in further turns, while failures are
// Throttled (slowing the whole connection down, after Iterable's Retry-After if there was one)
// or Transient (with growing pauses). While the list is young, it also retries if Iterable
// does not know it. It returns Iterable's answer, another *Error, or the context's error.
// TooLarge is also the class of a large request that failed for another reason, if the limiter
// wants smaller ones.
//
// Sending a batch twice is safe: subscribing and unsubscribing are idempotent.
func (c *Client) Send(ctx context.Context, turn limits.Turn, r Request) (Result, error) {
	waiting := ctx
	if r.Repeat != nil {
		waiting = r.Repeat
	}
	for failures := 0; ; {
		result, err := do(ctx, c, call{endpoint: r.Endpoint.call(), body: r.Body, whole: true}, decodeResult)
		var e *Error
		known := err == nil || errors.As(err, &e)
		if e != nil {
			e.early = e.Class == UnknownList && r.Young()
		}
		if r.Observe != nil {
			r.Observe(err)
		}
		if !known {
			turn.Cancel()
			return Result{}, err
		}
		switch {
		case err == nil:
			turn.Accepted(r.Profiles)
			return result, nil
		case e.Class == Throttled:
			turn.Throttled(e.RetryAfter)
		case e.Class == Transient || e.early:
			smaller, longest := false, longestPause
			if e.Class == Transient {
				smaller = turn.Failed(r.Profiles)
			} else {
				turn.Cancel()
				if failures < newListTries {
					longest = newListPause
				}
			}
			d := max(backoff(failures, longest), e.RetryAfter)
			failures++
			c.log.DebugContext(ctx, "request failed, trying again", "connection", c.connection, "endpoint", e.Endpoint,
				"status", e.Status, "detail", e.Detail, "failures", failures, "pause", d)
			if c.pause(waiting, d) != nil {
				return Result{}, endOf(ctx, r.Endpoint, e)
			}
			if smaller {
				large := *e
				large.Class = TooLarge
				return Result{}, &large
			}
		case e.Class == TooLarge:
			turn.TooLarge(r.Profiles, len(r.Body))
			return Result{}, e
		default:
			turn.Cancel()
			return Result{}, e
		}
		if turn, err = c.Limiter(r.Endpoint).Wait(waiting); err != nil {
			return Result{}, endOf(ctx, r.Endpoint, e)
		}
	}
}

// Limiter returns the limiter of the endpoint.
func (c *Client) Limiter(endpoint Endpoint) *limits.Limiter {
	return c.registry.For(c.connection, string(endpoint), c.limits)
}

// endOf returns the error of a Send that ended before Iterable accepted the request.
func endOf(ctx context.Context, endpoint Endpoint, last error) error {
	if ctx.Err() == nil {
		return last
	}
	if last == nil {
		return fmt.Errorf("iterable, %s: %w", endpoint, context.Cause(ctx))
	}
	return fmt.Errorf("iterable, %s: %w (the last try: %w)", endpoint, context.Cause(ctx), last)
}

// readTries is how often a call that only reads is tried. After that, the activity retries.
const readTries = 4

// longestReadWait is the longest Retry-After for which a call that only reads waits.
const longestReadWait = 10 * time.Second

// read makes a call that only reads, with a few retries.
func read[T any](ctx context.Context, c *Client, r call, decode func([]byte) (T, error)) (T, error) {
	for try := 1; ; try++ {
		var v T
		if err := c.reserve(ctx, r); err != nil {
			return v, err
		}
		v, err := do(ctx, c, r, decode)
		var e *Error
		if err == nil || !errors.As(err, &e) || !e.retryable() || try == readTries || e.RetryAfter > longestReadWait {
			return v, err
		}
		if c.pause(ctx, max(backoff(try-1, longestPause), e.RetryAfter)) != nil {
			return v, fmt.Errorf("iterable, %s: %w (the last try: %w)", r.name(), context.Cause(ctx), e)
		}
	}
}

// reserve blocks until the call may be made.
func (c *Client) reserve(ctx context.Context, r call) error {
	if c.wait != nil && r.endpoint.PerSecond > 0 {
		if err := c.wait(ctx, r.endpoint); err != nil {
			return fmt.Errorf("iterable, %s: wait until it may be made: %w", r.name(), err)
		}
	}
	if r.begins != nil {
		r.begins()
	}
	return nil
}

// backoff returns the pause after a failure, with so many failures in a row before it.
func backoff(failures int, longest time.Duration) time.Duration {
	d := longest
	if failures < 6 { // firstPause<<6 is over longestPause
		d = min(longest, firstPause<<failures)
	}
	return d/2 + rand.N(d/2)
}

// encodeCreate returns the body of POST /api/lists.
func encodeCreate(name, description string) ([]byte, error) {
	if r := []rune(description); len(r) > api.MaxDescription {
		description = string(r[:api.MaxDescription-1]) + "…"
	}
	body, err := json.Marshal(api.CreateListRequest{Name: name, Description: description})
	if err != nil {
		return nil, fmt.Errorf("encode the new list's name: %w", err)
	}
	return body, nil
}
