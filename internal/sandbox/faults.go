package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// Fault is how requests are to fail. Of the faults that fit a request, the one
// that was added first is used.
type Fault struct {
	// Endpoint is whose requests fail, by its name in the stats, such as
	// "lists/subscribe"; empty is all of the API.
	Endpoint string `json:"endpoint,omitempty"`
	// Kind is what happens: "status" answers with Status and Body, "storm" with
	// 429, "hang" doesn't answer until the client gives up, "reset" resets the
	// connection, "drop" applies the change and then resets the connection,
	// "slow" applies the change and answers after Delay.
	Kind string `json:"kind"`
	// Apply makes the change before "status" and "hang" too.
	Apply bool `json:"apply,omitempty"`
	// Skip lets that many requests pass first.
	Skip int `json:"skip,omitempty"`
	// Count is how many requests fail; 0 is no end but For's and DELETE's.
	Count int `json:"count,omitempty"`
	// Share is the part of the requests that fails, 0 < Share <= 1; 0 is all.
	Share float64 `json:"share,omitempty"`
	// Seed makes the choice by Share repeatable.
	Seed uint64 `json:"seed,omitempty"`
	// For is how long the fault lasts from when it is added, such as "60s".
	For Duration `json:"for,omitzero"`
	// Delay is how long "slow" and "status" hold the answer back.
	Delay Duration `json:"delay,omitzero"`
	// Status is the HTTP status of "status", default 500.
	Status int `json:"status,omitempty"`
	// Body is the kind of the answer's body: "json" (the default), "html",
	// "text", "truncated" (the beginning of JSON), "success" (JSON with the code
	// Success, whatever the status) or "empty".
	Body string `json:"body,omitempty"`
	// Code and Message are what a JSON body says.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is the Retry-After header, in seconds; 0 is none.
	RetryAfter int `json:"retryAfter,omitempty"`
}

// Duration is a time.Duration that JSON has as a string such as "1m30s".
type Duration time.Duration

// UnmarshalText reads a duration as time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = fmt.Errorf("duration %s is negative", v)
	}
	*d = Duration(v)
	return err
}

// MarshalText writes a duration as time.Duration's String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

var (
	faultKinds  = []string{"status", "storm", "hang", "reset", "drop", "slow"}
	faultBodies = []string{"", "json", "html", "text", "truncated", "success", "empty"}
)

func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("unknown kind %q: write one of %s", f.Kind, strings.Join(faultKinds, ", "))
	case !slices.Contains(faultBodies, f.Body):
		return fmt.Errorf("unknown body %q: write one of %s", f.Body, strings.Join(faultBodies[1:], ", "))
	case f.Share < 0 || f.Share > 1:
		return fmt.Errorf("share %g is not between 0 and 1", f.Share)
	case f.Count < 0 || f.Skip < 0 || f.RetryAfter < 0:
		return fmt.Errorf("count, skip and retryAfter can't be negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not between 200 and 599", f.Status)
	case f.Endpoint != "" && !slices.ContainsFunc(api.Endpoints, func(e api.Endpoint) bool { return e.Name == f.Endpoint }):
		return fmt.Errorf("unknown endpoint %q", f.Endpoint)
	}
	return nil
}

// faults are those in force.
type faults struct {
	mu     sync.Mutex
	active []*activeFault
	// cleared is closed when the faults are cleared, which ends what hangs.
	cleared chan struct{}
}

type activeFault struct {
	Fault
	random *rand.Rand
	ends   time.Time // zero if it doesn't end by itself
}

func (f *faults) add(now time.Time, added ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range added {
		a := &activeFault{Fault: fault, random: rand.New(rand.NewPCG(fault.Seed, 0))}
		switch fault.Kind {
		case "storm":
			a.Kind, a.Status, a.Code = "status", http.StatusTooManyRequests, api.CodeRateLimit
		case "drop":
			a.Kind, a.Apply = "reset", true
		case "slow":
			a.Apply = true
		}
		if fault.For > 0 {
			a.ends = now.Add(time.Duration(fault.For))
		}
		f.active = append(f.active, a)
	}
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = nil
	close(f.cleared)
	f.cleared = make(chan struct{})
}

// metFault is a fault that a request meets, and the channel that is closed when
// faults are cleared.
type metFault struct {
	Fault
	cleared <-chan struct{}
}

// pick returns the fault that a request meets, nil if none.
func (f *faults) pick(endpoint string, now time.Time) *metFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = slices.DeleteFunc(f.active, func(a *activeFault) bool {
		return !a.ends.IsZero() && !now.Before(a.ends)
	})
	for i, a := range f.active {
		switch {
		case a.Endpoint != "" && a.Endpoint != endpoint:
			continue
		case a.Skip > 0:
			a.Skip--
			continue
		case a.Share > 0 && a.random.Float64() >= a.Share:
			continue
		}
		met := &metFault{a.Fault, f.cleared}
		if a.Count--; a.Count == 0 {
			f.active = slices.Delete(f.active, i, i+1)
		}
		return met
	}
	return nil
}

// answer is what a fault of kind "status" answers. The applied answer is what
// the truncated body is the beginning of.
func (f *Fault) answer(applied answer) answer {
	status := cmp.Or(f.Status, http.StatusInternalServerError)
	code, msg := cmp.Or(f.Code, api.CodeGenericError), cmp.Or(f.Message, "The sandbox was told to fail")
	if f.Body == "success" {
		code = api.CodeSuccess
	}
	a := failure(status, code, msg)
	switch f.Body {
	case "html":
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		a.contentType = "text/html"
		a.body = []byte("<html>\n<head><title>" + title + "</title></head>\n<body>\n<center><h1>" + title +
			"</h1></center>\n</body>\n</html>\n")
	case "text":
		a.contentType, a.body = "text/plain", []byte(msg)
	case "empty":
		a.body = nil
	case "truncated":
		if len(applied.body) > 0 {
			a.body = applied.body
		}
		a.body = a.body[:len(a.body)/2]
	}
	if f.RetryAfter > 0 {
		a.header = map[string]string{"Retry-After": strconv.Itoa(f.RetryAfter)}
	}
	return a
}

// hang waits until the client gives up, the server stops or faults are cleared.
func hang(ctx context.Context, cleared <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-cleared:
	}
}

// reset ends the connection with a TCP reset where there is one, and without an
// answer in any case.
func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the client sees an orderly end
		}
		conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
