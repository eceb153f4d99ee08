package sandbox

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// Fault makes requests fail. If several faults match a request, the one that was added first
// is used.
type Fault struct {
	// Endpoint is the name of the endpoint in the stats, such as "lists/subscribe"; empty
	// is all of the API.
	Endpoint string
	// Kind is what happens: "status" answers with Status and Body, "storm" with
	// 429, "hang" doesn't answer until the client gives up, "reset" resets the
	// connection, "drop" applies the change and then resets the connection,
	// "slow" applies the change and answers after Delay.
	Kind string
	// Apply makes "status" and "hang" apply the change too.
	Apply bool
	// Skip is the number of requests that succeed first.
	Skip int
	// Count is the number of requests that fail; 0 is unlimited.
	Count int
	// Share is the share of requests that fail, 0 < Share <= 1; 0 is all.
	Share float64
	// Seed makes the choice by Share repeatable.
	Seed uint64
	// For is how long the fault lasts after it was added.
	For time.Duration
	// Delay delays the answers of "slow" and "status".
	Delay time.Duration
	// Status is the HTTP status of "status", default 500.
	Status int
	// Body is the kind of the answer's body: "json" (the default), "html",
	// "text", "truncated" (the beginning of JSON), "success" (JSON with the code
	// Success, whatever the status) or "empty".
	Body string
	// Code and Message are those of a JSON body.
	Code, Message string
	// RetryAfter is the Retry-After header in seconds; 0 omits it.
	RetryAfter int
}

type activeFault struct {
	Fault
	random  *rand.Rand
	ends    time.Time       // zero if it has no time limit
	cleared <-chan struct{} // closed when the faults are cleared
}

// AddFaults adds faults for the next requests. If there is an error, it adds nothing.
func (s *Server) AddFaults(faults ...Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var added []*activeFault
	for _, f := range faults {
		a := &activeFault{Fault: f, random: rand.New(rand.NewPCG(f.Seed, 0)), cleared: s.cleared}
		switch f.Kind {
		case "storm":
			a.Kind, a.Status, a.Code = "status", http.StatusTooManyRequests, api.CodeRateLimit
		case "drop":
			a.Kind, a.Apply = "reset", true
		case "slow":
			a.Apply = true
		case "status", "hang", "reset":
		default:
			return fmt.Errorf("unknown kind of fault %q", f.Kind)
		}
		if f.Endpoint != "" && !slices.ContainsFunc(api.Endpoints, func(e api.Endpoint) bool { return e.Name == f.Endpoint }) {
			return fmt.Errorf("unknown endpoint %q", f.Endpoint)
		}
		if f.For > 0 {
			a.ends = s.now().Add(f.For)
		}
		added = append(added, a)
	}
	s.faults = append(s.faults, added...)
	return nil
}

// ClearFaults removes all faults and resets hanging connections.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	close(s.cleared)
	s.cleared = make(chan struct{})
}

// pick returns the fault for a request, or nil.
func (s *Server) pick(endpoint string) *activeFault {
	now := s.now()
	s.faults = slices.DeleteFunc(s.faults, func(a *activeFault) bool { return !a.ends.IsZero() && !now.Before(a.ends) })
	for i, a := range s.faults {
		switch {
		case a.Endpoint != "" && a.Endpoint != endpoint:
			continue
		case a.Skip > 0:
			a.Skip--
			continue
		case a.Share > 0 && a.random.Float64() >= a.Share:
			continue
		}
		if a.Count--; a.Count == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return a
	}
	return nil
}

// answer returns the answer of a fault of kind "status". A truncated body is the beginning of
// the applied answer.
func (f *Fault) answer(applied answer) answer {
	status := cmp.Or(f.Status, http.StatusInternalServerError)
	code, msg := cmp.Or(f.Code, api.CodeGenericError), cmp.Or(f.Message, "The sandbox was told to fail")
	if f.Body == "success" {
		code = api.CodeSuccess
	}
	a := failure(status, code, msg)
	switch f.Body {
	case "html":
		a.contentType = "text/html"
		a.body = fmt.Appendf(nil, "<html>\n<head><title>%d %s</title></head>\n<body></body>\n</html>\n", status, http.StatusText(status))
	case "text":
		a = textAnswer(status, msg)
	case "empty":
		a.body = nil
	case "truncated":
		if len(applied.body) > 0 {
			a.body = applied.body
		}
		a.body = a.body[:len(a.body)/2]
	}
	if f.RetryAfter > 0 {
		a.retryAfter = strconv.Itoa(f.RetryAfter)
	}
	return a
}

// reset ends the connection without an answer, with a TCP reset if possible.
func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // otherwise the connection ends in order
		}
		conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
