package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/time/rate"

	"iterable-segment-export/internal/iterable/api"
)

// Server is the stand-in. It is an http.Handler, safe for concurrent use.
type Server struct {
	config Config
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) error
	// met is told of each fault that a request meets, where a test waits for it.
	met func(kind string)
	mux *http.ServeMux

	mu       sync.Mutex // guards all below, and the projects
	keys     map[string]*apiKey
	projects map[string]*project
	lastList int64
	slow     int64    // requests that could time out
	journal  *journal // nil without Config.DataDir
	// replaying is set while the journal is read: there are no limits then.
	replaying bool

	faults faults
	log    requestLog
}

type apiKey struct {
	project *project
	kind    KeyType
	region  string
	revoked bool
}

// project is one Iterable project: its profiles, their fields, and its lists.
type project struct {
	name    string
	kind    ProjectType
	drops   bool // fields that it does not have
	byEmail map[string]*profile
	byUser  map[string]*profile
	fields  map[string]string
	lists   map[int64]*list
	marks   map[string]string // why an address or a user ID is refused
	limits  map[string]*limit // by endpoint
}

// profile is one person. Its address is in lower case.
type profile struct {
	email, userID string
	fields        uint64         // hash of the last dataFields, 0 if there were none
	data          map[string]any // only with Config.KeepData
}

// limit is the rate of one endpoint, which other users of the project share.
type limit struct {
	*rate.Limiter
	others time.Duration // between the requests of others, 0 if there are none
	next   time.Time     // request of others
}

// allow reports whether a request at the moment now is allowed, and if not, how
// long until one will be.
func (l *limit) allow(now time.Time) (bool, time.Duration) {
	if since := now.Add(-time.Minute); l.others > 0 && l.next.Before(since) {
		l.next = since // the bucket has been empty or full since
	}
	for ; l.others > 0 && !l.next.After(now); l.next = l.next.Add(l.others) {
		l.AllowN(l.next, 1)
	}
	if l.AllowN(now, 1) {
		return true, 0
	}
	r := l.ReserveN(now, 1)
	defer r.CancelAt(now)
	return false, r.DelayFrom(now)
}

func newLimit(perSecond float64, burst int) *limit {
	return &limit{Limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, burst))}
}

// New makes a server. It panics on a Config for which Check returns an error,
// since that is a mistake in the program that calls it.
func New(c Config) *Server {
	if err := c.Check(); err != nil {
		panic("sandbox: " + err.Error())
	}
	c.setDefaults()
	s := &Server{
		config: c, now: time.Now, sleep: sleep, lastList: max(0, c.FirstListID-1), mux: http.NewServeMux(),
		keys: map[string]*apiKey{}, projects: map[string]*project{},
		faults: faults{cleared: make(chan struct{})},
	}
	s.log = requestLog{endpoints: map[string]*EndpointStats{}, started: s.now()}
	for key, p := range c.Keys {
		s.addKey(key, p)
	}
	for e, handle := range handlers {
		s.mux.HandleFunc(e.Method+" "+e.Path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e, handle) })
	}
	s.mux.HandleFunc("/sandbox/", s.control)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, api.Endpoint{Name: "unknown"}, func(*Server, *project, *http.Request, []byte) answer {
			return failure(http.StatusNotFound, api.CodeNotFound, "There is nothing at this path")
		})
	})
	return s
}

// addKey adds a key, and its project if that is new. p has been checked.
func (s *Server) addKey(key string, p Project) {
	_ = p.check() // fills in the defaults
	made := s.projects[p.Name]
	if made == nil {
		made = &project{
			name: p.Name, kind: p.Type, drops: p.DropUnknownFields, fields: map[string]string{}, lists: map[int64]*list{},
			byEmail: map[string]*profile{}, byUser: map[string]*profile{}, marks: map[string]string{}, limits: map[string]*limit{},
		}
		for name, kind := range s.config.Fields {
			made.fields[name] = kind
		}
		perSecond := s.config.Rate
		if p.Rate != 0 {
			perSecond = p.Rate
		}
		for _, e := range []api.Endpoint{api.Subscribe, api.Unsubscribe} {
			burst := s.config.Burst
			if burst == 0 {
				burst = int(perSecond)
			}
			if perSecond > 0 {
				made.limits[e.Name] = newLimit(perSecond, burst)
			}
		}
		for _, e := range api.Endpoints {
			switch {
			case s.config.Fast:
			case e.PerMinute > 0:
				made.limits[e.Name] = newLimit(e.PerMinute/60, int(e.PerMinute))
			case e.PerSecond > 0:
				made.limits[e.Name] = newLimit(e.PerSecond, int(math.Ceil(e.PerSecond)))
			}
		}
		s.projects[p.Name] = made
	}
	s.keys[key] = &apiKey{project: made, kind: p.KeyType, region: p.Region}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// delay returns a random time up to most, or most where the config is exact.
func (s *Server) delay(most time.Duration) time.Duration {
	if most <= 0 || s.config.Exactly {
		return most
	}
	return rand.N(most)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a call that has passed key, faults and limit. Server.mu is held.
type handler func(*Server, *project, *http.Request, []byte) answer

var handlers = map[api.Endpoint]handler{
	api.Lists: (*Server).getLists, api.CreateList: (*Server).createList, api.DeleteList: (*Server).deleteList,
	api.ListSize: (*Server).listSize, api.GetUsers: (*Server).getUsers, api.PreviewUsers: (*Server).previewUsers,
	api.Subscribe: (*Server).subscribe, api.Unsubscribe: (*Server).unsubscribe, api.GetFields: (*Server).getFields,
	api.Forgotten: (*Server).forgottenEmails, api.ForgottenUserIDs: (*Server).forgottenUserIDs,
	api.UpdateUser: (*Server).updateUser, api.UserByEmail: (*Server).userByEmail, api.GetByEmail: (*Server).userByEmail,
	api.UserByUserID: (*Server).userByUserID, api.DeleteByEmail: (*Server).deleteUser, api.DeleteByUserID: (*Server).deleteUser,
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, e api.Endpoint, handle handler) {
	rec := Request{Time: s.now(), Method: r.Method, Endpoint: e.Name}
	body, a, fault := s.answer(r, e, handle, &rec)
	// A request is in the log before its client gets the answer.
	finish := func(status int) {
		rec.Status = status
		rec.Milliseconds = float64(s.now().Sub(rec.Time).Microseconds()) / 1000
		s.log.add(rec)
	}
	wait := s.config.Latency + time.Duration(a.rows)*s.config.PerProfile
	broken := false
	if fault != nil {
		rec.Fault = fault.Kind
		if s.met != nil {
			s.met(fault.Kind)
		}
		wait += time.Duration(fault.Delay)
		switch fault.Kind {
		case "hang":
			hang(r.Context(), fault.cleared)
			broken = true
		case "reset":
			broken = true
		case "status":
			a = fault.answer(a)
		}
	}
	if broken || wait > 0 && s.sleep(r.Context(), wait) != nil {
		finish(0)
		reset(w)
		return
	}
	finish(a.status)
	if s.config.Record != nil {
		s.config.Record(Exchange{Endpoint: e, Request: r, Body: body, Status: a.status, Type: a.contentType, Answer: a.body, Faulty: fault != nil})
	}
	a.write(w)
}

// answer answers a request of the API, or returns the fault that it meets; then
// the answer is the change's where the fault is one that applies it.
func (s *Server) answer(r *http.Request, e api.Endpoint, handle handler, rec *Request) (body []byte, a answer, fault *metFault) {
	body, err := s.readBody(r, rec)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refused := s.authorize(r)
	if refused != nil {
		return body, *refused, nil
	}
	rec.Project = p.name
	if errors.As(err, &a) {
		return body, a, nil
	}
	if fault = s.faults.pick(e.Name, s.now()); fault != nil && !fault.Apply {
		return body, answer{}, fault
	}
	if l := p.limits[e.Name]; l != nil && !s.replaying {
		if ok, wait := l.allow(s.now()); !ok {
			return body, s.throttled(wait), fault
		}
	}
	if (e == api.ListSize || e == api.GetUsers || e == api.PreviewUsers) && s.timesOut(p, r) {
		return body, answer{status: http.StatusServiceUnavailable, contentType: "text/plain", body: []byte("Request timeout. Try again later.")}, fault
	}
	if a = handle(s, p, r, body); a.status == http.StatusOK {
		s.keep(r, body)
	}
	rec.Rows, rec.Failed = a.rows, a.failed
	return body, a, fault
}

// throttled is a 429 in one of the forms that were seen: JSON and two plain texts.
func (s *Server) throttled(wait time.Duration) answer {
	a := failure(http.StatusTooManyRequests, api.CodeRateLimit, "Rate limit exceeded")
	if text := [...]string{"", "Too Many Requests", "Rate limit exceeded. Please try again later."}[rand.N(3)]; text != "" {
		a.contentType, a.body = "text/plain", []byte(text)
	}
	if s.config.RetryAfter {
		a.header = map[string]string{"Retry-After": strconv.Itoa(int(math.Ceil(wait.Seconds())))}
	}
	return a
}

// timesOut reports whether a request for a list's size or members is answered 503.
func (s *Server) timesOut(p *project, r *http.Request) bool {
	l := p.lists[listOf(r)]
	if s.config.Fast || l == nil || len(l.members) <= timeoutAbove {
		return false
	}
	s.slow++
	return s.slow%2 == 1
}

// drainBytes is how much of a body that is too large is read, so that a client
// that is still writing gets to see the answer.
const drainBytes = 64 << 10

// readBody reads a request's body, up to the limit. Its error is an answer.
func (s *Server) readBody(r *http.Request, rec *Request) ([]byte, error) {
	defer io.Copy(io.Discard, io.LimitReader(r.Body, drainBytes))
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		return nil, badParams("Content-Encoding %q is not supported", encoding)
	}
	limit := int64(s.config.MaxBodyBytes)
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	rec.Bytes = int64(len(body))
	if err != nil {
		return nil, badJSON("the body ended early")
	}
	if int64(len(body)) > limit {
		return nil, failure(http.StatusRequestEntityTooLarge, api.CodeBatchTooLarge, fmt.Sprintf("The body is over the limit of %d bytes", limit))
	}
	if len(body) > 0 {
		rec.Body = fmt.Sprintf("%x", xxh3.Hash128(body).Bytes())
	}
	return body, nil
}

// authorize returns the project that the request's key opens for a call.
func (s *Server) authorize(r *http.Request) (*project, *answer) {
	key := s.keys[r.Header.Get("Api-Key")]
	wrongRegion := key != nil && key.region != "" && s.config.Region != "" && key.region != s.config.Region
	if key == nil || key.revoked || wrongRegion {
		a := failure(http.StatusUnauthorized, api.CodeBadAPIKey, "Invalid API key")
		return nil, &a
	}
	if key.kind == ServerKey || key.kind == ReadOnlyKey && r.Method == http.MethodGet {
		return key.project, nil
	}
	a := failure(http.StatusForbidden, api.CodeForbidden, fmt.Sprintf("An API key of type %s may not do this", key.kind))
	return nil, &a
}

// projectNamed returns a project; an empty name fits where there is only one.
func (s *Server) projectNamed(name string) (*project, error) {
	if p := s.projects[name]; p != nil {
		return p, nil
	}
	if name == "" && len(s.projects) == 1 {
		for _, p := range s.projects {
			return p, nil
		}
	}
	names := make([]string, 0, len(s.projects))
	for n := range s.projects {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("there is no project %q: name one of %s", name, strings.Join(names, ", "))
}
