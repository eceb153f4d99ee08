package sandbox

import (
	"sync"
	"time"
)

// keptRequests is how many requests the log holds; older ones are forgotten.
const keptRequests = 10_000

// Request is a request of the API as the log has it: nothing in it says who the
// people in the request are.
type Request struct {
	// Number counts the requests from 1.
	Number       int64     `json:"number"`
	Time         time.Time `json:"time"`
	Milliseconds float64   `json:"milliseconds"`
	Method       string    `json:"method"`
	Endpoint     string    `json:"endpoint"`
	Project      string    `json:"project,omitempty"`
	// Status is the answer's HTTP status, 0 if none was given.
	Status int `json:"status"`
	// Rows are the subscribers in a request that was applied, Failed those of
	// them that were refused.
	Rows   int   `json:"rows"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
	// Body is a 128-bit hash of the body, so that a request that was sent twice
	// can be seen.
	Body string `json:"body,omitempty"`
	// Fault is the kind of the fault that the request met.
	Fault string `json:"fault,omitempty"`
}

// EndpointStats adds up the requests of one endpoint.
type EndpointStats struct {
	Requests int64 `json:"requests"`
	// Statuses counts the answers by HTTP status; 0 are requests without one.
	Statuses map[int]int64 `json:"statuses"`
	// Throttled is how many were answered 429.
	Throttled int64 `json:"throttled"`
	// Faults is how many met a fault.
	Faults int64 `json:"faults"`
	Rows   int64 `json:"rows"`
	Failed int64 `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

type requestLog struct {
	mu        sync.Mutex
	started   time.Time
	count     int64
	kept      []Request // a ring from count%keptRequests once it is full
	endpoints map[endpoint]*EndpointStats
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.count % keptRequests
	l.count++
	r.Number = l.count
	if int(at) == len(l.kept) {
		l.kept = append(l.kept, r)
	} else {
		l.kept[at] = r
	}
	e := l.endpoints[endpoint(r.Endpoint)]
	if e == nil {
		e = &EndpointStats{Statuses: map[int]int64{}}
		l.endpoints[endpoint(r.Endpoint)] = e
	}
	e.Requests++
	e.Statuses[r.Status]++
	if r.Status == 429 {
		e.Throttled++
	}
	if r.Fault != "" {
		e.Faults++
	}
	e.Rows += int64(r.Rows)
	e.Failed += int64(r.Failed)
	e.Bytes += r.Bytes
}

// last gives the last n requests, the oldest first.
func (l *requestLog) last(n int) []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.kept))
	out := make([]Request, 0, n)
	for i := l.count - int64(n); i < l.count; i++ {
		out = append(out, l.kept[i%keptRequests])
	}
	return out
}

// Requests gives the last n requests of the API, the oldest first. The log holds
// the last 10,000.
func (s *Server) Requests(n int) []Request { return s.log.last(n) }
