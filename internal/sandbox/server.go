package sandbox

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
)

// Server is the stand-in. It is an http.Handler, safe for concurrent use.
type Server struct {
	config Config
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) error
	// met hears of each fault that a request meets, where a test waits for it.
	met func(kind string)

	mu       sync.RWMutex
	keys     map[string]*apiKey
	projects map[string]*project
	lastList int64

	// journal keeps what changes, nil without Config.DataDir.
	journal *journal

	faults faults
	log    requestLog
	bodies sync.Pool
}

type apiKey struct {
	project *project
	kind    KeyType
	region  string
	revoked bool
}

// New makes a server. It panics on a Config that can't be, such as an unknown
// project type, since that is a mistake in the program that calls it; Check
// tells beforehand.
func New(c Config) *Server {
	if err := c.Check(); err != nil {
		panic("sandbox: " + err.Error())
	}
	c.setDefaults()
	s := &Server{
		config: c, now: time.Now, sleep: sleep, lastList: max(0, c.FirstListID-1),
		keys: map[string]*apiKey{}, projects: map[string]*project{},
		faults: faults{cleared: make(chan struct{})},
	}
	s.log.endpoints = map[endpoint]*EndpointStats{}
	s.log.started = s.now()
	for key, p := range c.Keys {
		s.addKey(key, p)
	}
	return s
}

// Check says what is wrong with a Config, nil if nothing is.
func (c Config) Check() error {
	for _, p := range c.Keys {
		if err := p.check(); err != nil {
			return err
		}
	}
	for name, kind := range c.Fields {
		if _, known := kindNamed(kind); !known {
			return fmt.Errorf("field %q: there is no type %q", name, kind)
		}
	}
	switch c.Region {
	case "", "us", "eu":
		return nil
	default:
		return fmt.Errorf("region %q is none of us, eu", c.Region)
	}
}

// addKey adds a key, and its project if that is new. p has been checked.
func (s *Server) addKey(key string, p Project) {
	_ = p.check() // fills in the defaults
	made := s.projects[p.Name]
	if made == nil {
		made = newProject(p, &s.config)
		for name, kind := range s.config.Fields {
			made.fields[name], _ = kindNamed(kind)
		}
		s.projects[p.Name] = made
	}
	s.keys[key] = &apiKey{project: made, kind: p.KeyType, region: p.Region}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, "/sandbox/"); ok {
		s.control(w, r, path)
		return
	}
	started := s.now()
	call := route(r.Method, r.URL.EscapedPath())
	rec := Request{Time: started, Method: r.Method, Endpoint: string(call.endpoint)}
	// A request is in the log before its client hears of it, so that whoever has
	// an answer finds it there.
	finish := func(status int) {
		rec.Status = status
		rec.Milliseconds = float64(s.now().Sub(started).Microseconds()) / 1000
		s.log.add(rec)
	}
	a, fault, cleared := s.api(r, call, &rec)
	wait := s.config.Latency
	if fault != nil {
		rec.Fault = fault.Kind
		if s.met != nil {
			s.met(fault.Kind)
		}
		wait += time.Duration(fault.Delay)
		switch fault.Kind {
		case "hang":
			hang(r.Context(), cleared)
			finish(0)
			reset(w)
			return
		case "reset":
			finish(0)
			reset(w)
			return
		case "status":
			a = fault.answer(a)
		}
	}
	if wait > 0 && s.sleep(r.Context(), wait) != nil {
		finish(0)
		reset(w)
		return
	}
	finish(a.status)
	a.write(w)
}

// api answers a request of the API, or gives the fault that it meets. The
// answer is the change's where the fault is one that applies it.
func (s *Server) api(r *http.Request, call call, rec *Request) (a answer, fault *Fault, cleared <-chan struct{}) {
	body, release, err := s.readBody(r, rec)
	defer release()
	if call.err != nil {
		return call.err.answer(), nil, nil
	}
	p, keyErr := s.authorize(r, call.endpoint)
	if keyErr != nil {
		return keyErr.answer(), nil, nil
	}
	rec.Project = p.name
	if err != nil {
		return err.answer(), nil, nil
	}
	fault, cleared = s.faults.pick(call.endpoint, s.now())
	if fault != nil && !fault.Apply {
		return answer{}, fault, cleared
	}
	if ok, wait := p.limits.take(call.endpoint, s.now()); !ok {
		return s.throttled(wait), fault, cleared
	}
	a = s.handle(p, r, call, body)
	rec.Rows, rec.Failed = a.rows, a.failed
	return a, fault, cleared
}

func (s *Server) throttled(wait time.Duration) answer {
	e := apiError{status: http.StatusTooManyRequests, Code: "RateLimitExceeded", Msg: "Rate limit exceeded"}
	a := e.answer()
	if s.config.RetryAfter {
		a.header = map[string]string{"Retry-After": strconv.Itoa(int(math.Ceil(wait.Seconds())))}
	}
	return a
}

// drainBytes is how much of a body that is too large is read, so that a client
// that is still writing gets to see the answer.
const drainBytes = 64 << 20

// readBody reads a request's body, up to the limit, into memory that release
// takes back.
func (s *Server) readBody(r *http.Request, rec *Request) (body []byte, release func(), bad *apiError) {
	release = func() {}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, release, nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		io.Copy(io.Discard, io.LimitReader(r.Body, drainBytes))
		return nil, release, badParams("Content-Encoding %q is not taken", encoding)
	}
	limit := s.config.MaxBodyBytes
	if r.ContentLength > int64(limit) {
		rec.Bytes, _ = io.Copy(io.Discard, io.LimitReader(r.Body, drainBytes))
		return nil, release, tooLarge(http.StatusRequestEntityTooLarge, "The body is over the limit of %d bytes", limit)
	}
	buffer, _ := s.bodies.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	release = func() { s.bodies.Put(buffer) }
	b, err := readAll((*buffer)[:0], r.Body, int(r.ContentLength), limit)
	*buffer = b
	rec.Bytes = int64(len(b))
	if err != nil {
		return nil, release, badJSON("the body ended early")
	}
	if len(b) > limit {
		n, _ := io.Copy(io.Discard, io.LimitReader(r.Body, drainBytes))
		rec.Bytes += n
		return nil, release, tooLarge(http.StatusRequestEntityTooLarge, "The body is over the limit of %d bytes", limit)
	}
	hash := xxh3.Hash128(b).Bytes()
	rec.Body = fmt.Sprintf("%x", hash)
	return b, release, nil
}

// readAll appends to b what r gives, at most limit+1 bytes. length is how many
// are expected, -1 if that isn't known.
func readAll(b []byte, r io.Reader, length, limit int) ([]byte, error) {
	if want := max(length, 512) + 1; cap(b) < want {
		b = make([]byte, 0, want)
	}
	for len(b) <= limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// authorize gives the project that the request's key opens for a call.
func (s *Server) authorize(r *http.Request, e endpoint) (*project, *apiError) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key := s.keys[r.Header.Get("Api-Key")]
	wrongRegion := key != nil && key.region != "" && s.config.Region != "" && key.region != s.config.Region
	if key == nil || key.revoked || wrongRegion {
		return nil, &apiError{status: http.StatusUnauthorized, Code: "BadApiKey", Msg: "Invalid API key"}
	}
	switch {
	case key.kind == ServerKey, key.kind == ReadOnlyKey && reads(e):
		return key.project, nil
	default:
		return nil, &apiError{status: http.StatusForbidden, Code: "Forbidden",
			Msg: fmt.Sprintf("An API key of type %s may not do this", key.kind)}
	}
}

func reads(e endpoint) bool {
	switch e {
	case createList, deleteList, subscribe, unsubscribe:
		return false
	}
	return true
}
