// Package sandbox implements the part of the Iterable API that this project uses, for tests,
// demonstrations and benchmarks. It is one Iterable project, in memory, behind an
// http.Handler.
//
// Under /api/ it answers as Iterable does. Where Iterable may be lenient it is strict, so that
// a request that works here works with Iterable: unknown JSON fields and wrong types are 400
// BadParams.
//
// GET /sandbox/stats, without a key, returns the Stats.
//
// # Assumptions
//
// The documentation leaves these points open:
//   - A rate is a token bucket of one second's requests that refills evenly.
//   - In an email-based project a user ID without an address finds the profile with that
//     user ID. If there is none, preferUserId creates one with the address
//     <userId>@placeholder.email; otherwise the row is notFound.
//   - In a userID-based project an address without a user ID finds the first profile with
//     that address; otherwise the row is notFound.
//   - A user ID with an "email" in its dataFields gets that address, except in an email-based
//     project.
//   - In a hybrid project an address and a user ID of two different profiles are a conflict.
//   - A whole number fits a field of type double, and a date one of type string; every other
//     difference of types is a mismatch. Fields inside objects have no types.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/internal/iterable/api"
)

// Server is the sandbox. It is an http.Handler and safe for concurrent use.
type Server struct {
	config Config
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) error
	mux    *http.ServeMux

	mu       sync.Mutex // guards all below
	at       time.Time  // the time of the request that is answered, and of its line in the journal
	revoked  map[string]bool
	byEmail  map[string]*profile
	byUser   map[string]*profile
	fields   map[string]string // name to type
	lists    map[int64]*list
	lastList int64
	marks    map[string]string        // by address or user ID: why it is refused
	limits   map[string]*rate.Limiter // by endpoint
	slow     int64                    // requests that could time out

	faults  []*activeFault
	cleared chan struct{} // closed when the faults are cleared, to end hanging requests

	requests  []Request // the most recent ones
	endpoints map[string]*EndpointStats

	journal   *os.File // nil without Config.DataDir
	unwritten error    // the first error of writing it; nothing is written after it
	replaying bool     // the journal is read, without limits
}

// profile is a profile. Its address is in lower case.
type profile struct {
	email, userID string
	data          []byte // its dataFields as JSON, which takes a quarter of the memory of a map; only with Config.KeepData
}

// values returns the profile's dataFields, nil if it has none.
func (p *profile) values() (values map[string]any) {
	if len(p.data) > 0 {
		read(p.data, &values)
	}
	return values
}

// New returns a server.
func New(c Config) *Server {
	c.setDefaults()
	s := &Server{
		config: c, now: time.Now, sleep: sleep, mux: http.NewServeMux(), lastList: max(0, c.FirstListID-1),
		revoked: map[string]bool{}, byEmail: map[string]*profile{}, byUser: map[string]*profile{}, fields: map[string]string{},
		lists: map[int64]*list{}, marks: map[string]string{}, limits: newLimits(c), cleared: make(chan struct{}), endpoints: map[string]*EndpointStats{},
	}
	maps.Copy(s.fields, c.Fields)
	for e, handle := range handlers {
		s.mux.HandleFunc(e.Method+" "+e.Path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e, handle) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, api.Endpoint{Name: "unknown"}, (*Server).nothing)
	})
	s.mux.HandleFunc("GET /sandbox/stats", s.showStats)
	return s
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// delay returns a random time up to most, or most if the config has Exactly.
func (s *Server) delay(most time.Duration) time.Duration {
	if most <= 0 || s.config.Exactly {
		return most
	}
	return rand.N(most)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a call after the checks of key, faults and limit. Server.mu is held.
type handler func(*Server, *http.Request, []byte) answer

var handlers = map[api.Endpoint]handler{
	api.Lists: (*Server).getLists, api.CreateList: (*Server).createList, api.DeleteList: (*Server).deleteList,
	api.ListSize: (*Server).listSize, api.GetUsers: (*Server).getUsers, api.PreviewUsers: (*Server).previewUsers,
	api.Subscribe: (*Server).subscribe, api.Unsubscribe: (*Server).unsubscribe, api.GetFields: (*Server).getFields,
	api.Forgotten: (*Server).forgottenEmails, api.ForgottenUserIDs: (*Server).forgottenUserIDs,
	api.UpdateUser: (*Server).updateUser, api.UserByEmail: (*Server).userByEmail, api.GetByEmail: (*Server).userByEmail,
	api.UserByUserID: (*Server).userByUserID, api.DeleteByEmail: (*Server).deleteUser, api.DeleteByUserID: (*Server).deleteUser,
}

func (s *Server) nothing(*http.Request, []byte) answer {
	return failure(http.StatusNotFound, api.CodeNotFound, "Unknown path")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, e api.Endpoint, handle handler) {
	began := s.now()
	if r.Context().Err() != nil { // the server is stopping, and net/http has accepted one more
		reset(w)
		return
	}
	body, a, fault := s.answer(r, e, handle)
	wait := s.config.Latency + time.Duration(a.rows)*s.config.PerProfile
	broken := false
	if fault != nil {
		wait += fault.Delay
		switch fault.Kind {
		case "hang":
			select { // until the client gives up, the server stops or the faults are cleared
			case <-r.Context().Done():
			case <-fault.cleared:
			}
			broken = true
		case "reset":
			broken = true
		case "status":
			a = fault.answer(a)
		}
	}
	if broken = broken || wait > 0 && s.sleep(r.Context(), wait) != nil; broken {
		a.status = 0
	}
	s.log(began, e, body, a, fault != nil) // before the client gets the answer
	if broken {
		reset(w)
		return
	}
	if s.config.Record != nil {
		s.config.Record(Exchange{Endpoint: e, Request: r, Body: body, Status: a.status, Type: a.contentType, Answer: a.body, Faulty: fault != nil})
	}
	a.write(w)
}

// answer answers a request of the API, or returns its fault. If the fault applies the change,
// the answer is that of the change.
func (s *Server) answer(r *http.Request, e api.Endpoint, handle handler) (body []byte, a answer, fault *activeFault) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, api.BulkUpdateBody))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.now()
	defer func() {
		if refused := recover(); refused != nil {
			a = refused.(answer)
		}
	}()
	if !s.replaying {
		s.authorize(r)
		if fault = s.pick(e.Name); fault != nil && !fault.Apply {
			return body, answer{}, fault
		}
		if l := s.limits[e.Name]; l != nil && !l.AllowN(s.at, 1) {
			return body, throttled(), fault
		}
	}
	if err != nil {
		return body, failure(http.StatusRequestEntityTooLarge, api.CodeBatchTooLarge, err.Error()), fault
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		return body, badParams("Content-Encoding %q is not supported", encoding), fault
	}
	if a = handle(s, r, body); a.status == http.StatusOK && r.Method != http.MethodGet {
		s.keep(record{Time: s.at, Method: r.Method, URL: r.URL.String(), Body: body})
	}
	return body, a, fault
}

// authorize refuses a request if its key lacks the permission.
func (s *Server) authorize(r *http.Request) {
	key := r.Header.Get("Api-Key")
	kind, known := s.config.Keys[key]
	if !known || s.revoked[key] {
		panic(failure(http.StatusUnauthorized, api.CodeBadAPIKey, "Invalid API key"))
	}
	if kind != ServerKey && (kind != ReadOnlyKey || r.Method != http.MethodGet) {
		panic(failure(http.StatusForbidden, api.CodeForbidden, fmt.Sprintf("An API key of type %s may not do this", kind)))
	}
}

// Revoke revokes an API key, or restores it.
func (s *Server) Revoke(key string, revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[key] = revoked
}

// throttled returns a 429 in one of the observed forms: JSON and two plain texts.
func throttled() answer {
	switch rand.N(3) {
	case 0:
		return failure(http.StatusTooManyRequests, api.CodeRateLimit, "Rate limit exceeded")
	case 1:
		return textAnswer(http.StatusTooManyRequests, "Too Many Requests")
	}
	return textAnswer(http.StatusTooManyRequests, "Rate limit exceeded. Please try again later.")
}

// ListenAndServe serves on addr, such as "127.0.0.1:8234", until ctx is done. Then it cancels
// the requests in flight and returns nil. Since the server is not protected, addr must be a
// loopback address unless Config.AllowRemote is set.
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return fmt.Errorf("sandbox address %q: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() && !s.config.AllowRemote {
		return fmt.Errorf("sandbox address %q: not a loopback address such as 127.0.0.1; the sandbox is not protected", addr)
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return fmt.Errorf("listen for the sandbox: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve is ListenAndServe on a listener, which it closes.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// Requests that sleep or hang end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) || ctx.Err() == nil {
		return fmt.Errorf("serve the sandbox: %w", err)
	}
	return nil
}
