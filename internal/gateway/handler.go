package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

const (
	// maxBody is the size limit of a request's body in bytes, that of a configuration file.
	maxBody = 1 << 20
	// maxKey is the size limit of an idempotency key in bytes.
	maxKey = 200
	// maxConnections is the limit on open connections.
	maxConnections = 1000
	// mostOfOne is the limit for one address. A proxy counts as one address.
	mostOfOne = maxConnections / 2
	// followTime is how long one request may follow a run, and followEvery how often the
	// run is queried. tokenEvery is how often its token is verified again.
	followTime  = 15 * time.Minute
	followEvery = time.Second
	tokenEvery  = 5 * time.Second
	// writeTime bounds each write of a response. idleTime bounds the wait for the next
	// request; it is shorter, so that no earlier write deadline still applies.
	writeTime = 30 * time.Second
	idleTime  = 20 * time.Second
	// answerTime bounds every request that does not follow a run.
	answerTime = 2 * time.Minute
	// forgetTime bounds a request that reads everything that the data root has of people.
	forgetTime = 30 * time.Minute
	// costlyAtOnce is the limit on concurrent costly operations, mostCostly that for one
	// person.
	costlyAtOnce = 4
	mostCostly   = 2
	// mostAtOnce is the limit on concurrent requests of one person, without those that follow
	// a run.
	mostAtOnce = 10
	// placePatience is how long a request waits until it is below these limits.
	placePatience = 10 * time.Second
	// mostPeople is how many rate limiters are kept.
	mostPeople = 10_000
	// mostFollowed is how many runs a person may follow at a time.
	mostFollowed = 10
)

// Options configure a Handler.
type Options struct {
	Office *Office
	Tokens *access.Tokens
	// Login is served to callers without a token.
	Login Login
	// PerSecond is how many requests a person may make in a second on average, Burst how
	// many at once.
	PerSecond float64
	Burst     int
	// Triggers verifies signed requests and events; nil accepts none.
	Triggers *trigger.Verifier
	Log      *slog.Logger
}

// Login says where to get a token.
type Login struct {
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientId"`
	Audience string   `json:"audience"`
	Scopes   []string `json:"scopes"`
}

// Handler serves Locals over HTTP.
type Handler struct {
	o        Options
	mux      *http.ServeMux
	patience time.Duration // of a request that has to wait for others
	answer   time.Duration // bounds a request that does not follow a run
	triggers triggers

	mu     sync.Mutex
	people map[string]*rate.Limiter // by subject
	// open counts the bounded requests under way, by subject and kind; the subject everyone
	// counts those of all.
	open map[[2]string]int
}

// NewHandler returns a Handler behind a check for cross-origin requests.
func NewHandler(o Options) http.Handler {
	h := &Handler{o: o, mux: http.NewServeMux(), patience: placePatience, answer: answerTime, people: map[string]*rate.Limiter{}, open: map[[2]string]int{}}
	h.triggers.o = &h.o
	for _, rt := range routes {
		h.mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			if rt.name == "triggerRun" && trigger.Signed(r.Header) {
				h.handle(rt.name, h.signed)(w, r)
				return
			}
			h.serve(rt, w, r)
		})
	}
	h.mux.HandleFunc("POST /v1/events", h.handle("news", h.event))
	h.mux.HandleFunc("OPTIONS /v1/events", h.handle("newsHandshake", h.handshake))
	h.mux.HandleFunc("GET /v1/login", func(w http.ResponseWriter, _ *http.Request) { _ = writeJSON(w, http.StatusOK, o.Login) })
	h.mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(schemas.OpenAPI)
	})
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, problemOf(access.No(codeNotFound, "there is nothing at %s %s; see /v1/openapi.json", r.Method, r.URL.Path)))
	})
	return http.NewCrossOriginProtection().Handler(headers(h.mux))
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if len(r.TransferEncoding) > 0 {
			// The request may state its length in two ways, and a proxy may have used the
			// other one: don't read a second request from this connection (RFC 9112, 6.1).
			w.Header().Set("Connection", "close")
		}
		t := &timely{w}
		next.ServeHTTP(t, r)
		t.extend() // for what is left in buffers
	})
}

// timely sets a deadline for each write, so that a slow reader holds nothing for long.
type timely struct{ http.ResponseWriter }

func (w *timely) extend() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime))
}

func (w *timely) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

func (w *timely) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recorder records the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// serve identifies the caller and checks their role before it does anything else.
func (h *Handler) serve(rt route, to http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: to, status: http.StatusOK}
	began := time.Now()
	who, err := h.person(r)
	if err == nil {
		err = h.do(rt, who, w, r)
	}
	if err != nil {
		p := problemOf(err)
		if p.inside() {
			h.o.Log.Error("operation failed", "operation", rt.name, "error", err)
			p = p.forPerson(who)
		}
		fail(w, p)
	}
	if r.Method != http.MethodGet || w.status >= http.StatusBadRequest {
		h.o.Log.Info("operation done", "operation", rt.name, "who", who.Subject, "role", who.Role, "status", w.status, "took", time.Since(began).String())
	}
}

func (h *Handler) person(r *http.Request) (schemas.Person, error) {
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(kind, "Bearer") {
		return schemas.Person{}, access.No(schemas.ErrorProof, "the gateway needs a token: call starter login, or set EXPORT_TOKEN to a token of your identity provider, or EXPORT_TOKEN_FILE to a file with one")
	}
	who, err := h.o.Tokens.Person(r.Context(), token)
	if errors.Is(err, access.ErrProvider) {
		h.o.Log.Error("token not verified", "error", err)
		return who, access.ErrProvider
	}
	return who, err
}

func (h *Handler) do(rt route, who schemas.Person, w http.ResponseWriter, r *http.Request) error {
	weight := 1
	if rt.looks > 0 {
		n, err := number(r, "limit", rt.looks)
		if err != nil {
			return err
		}
		weight = min(max(1, min(n, mostRuns)/rt.looks), h.o.Burst)
	}
	if !h.limiter(who).AllowN(time.Now(), weight) {
		return access.No(CodeTooMany, "%s has made too many requests; wait a moment", who.Name)
	}
	if !access.AtLeast(who.Role, rt.least) {
		return access.No(schemas.ErrorNotAllowed, "%s has the role %s, but this needs %s", who.Name, who.Role, rt.least)
	}
	follows := rt.kind == "text/event-stream"
	mine, patience := place{who.Subject, "requests", mostAtOnce, access.No(CodeTooMany, "%d requests of %s are under way; wait until one is answered", mostAtOnce, who.Name)}, h.patience
	if follows {
		mine, patience = place{who.Subject, "following", mostFollowed, access.No(CodeTooMany, "%s already follows %d runs", who.Name, mostFollowed)}, 0
	}
	leave, err := h.wait(r.Context(), patience, mine)
	if err != nil {
		return err
	}
	defer leave()
	if rt.costly {
		body, err := bodyOf(w, r) // before it takes a place that others need: it may come slowly
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		leave, err := h.wait(r.Context(), patience,
			place{who.Subject, "costly", mostCostly, access.No(CodeTooMany, "%d such requests of %s are under way; wait until one is answered", mostCostly, who.Name)},
			place{everyone, "costly", costlyAtOnce, access.No(CodeTooMany, "several requests like this one are under way; wait a moment")})
		if err != nil {
			return err
		}
		defer leave()
	}
	var cancel context.CancelFunc
	if follows {
		r, cancel = h.whileGood(r, rt.least)
	} else {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(r.Context(), cmp.Or(rt.within, h.answer))
		r = r.WithContext(ctx)
	}
	defer cancel()
	return rt.serve(h.o.Office.As(who), w, r)
}

// whileGood returns the request with a context that ends when its token becomes invalid: it
// has expired, its key was withdrawn, or the role was removed.
func (h *Handler) whileGood(r *http.Request, least schemas.Role) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), followTime)
	go func() {
		tick := time.NewTicker(tokenEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			who, err := h.person(r)
			if !errors.Is(err, access.ErrProvider) && (err != nil || !access.AtLeast(who.Role, least)) {
				cancel()
			}
		}
	}()
	return r.WithContext(ctx), cancel
}

// everyone is the subject of no person.
const everyone = ""

// place is one of a number of concurrent requests.
type place struct {
	subject, kind string
	most          int
	full          error // of a request that finds no place
}

// bodyOf reads the body of a request.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		err = access.No(schemas.ErrorBadRequest, "the request body can't be read, or has more than %d bytes", maxBody)
	}
	return body, err
}

// wait waits until all of the places are free, and returns what gives them up.
func (h *Handler) wait(ctx context.Context, patience time.Duration, places ...place) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err = h.enterAll(places); err == nil {
			return func() { h.leaveAll(places) }, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// enterAll takes all of the places or none.
func (h *Handler) enterAll(places []place) error {
	for i, p := range places {
		if !h.enters(p.subject, p.kind, p.most) {
			h.leaveAll(places[:i])
			return p.full
		}
	}
	return nil
}

func (h *Handler) leaveAll(places []place) {
	for _, p := range places {
		h.leaves(p.subject, p.kind)
	}
}

// enters adds to a subject's requests of a kind, unless there are most of them.
func (h *Handler) enters(subject, kind string, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := [2]string{subject, kind}
	if h.open[k] >= most {
		return false
	}
	h.open[k]++
	return true
}

// leaves subtracts a request from those of a subject.
func (h *Handler) leaves(subject, kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := [2]string{subject, kind}
	if h.open[k]--; h.open[k] == 0 {
		delete(h.open, k)
	}
}

// limiter returns the rate limiter of a person.
func (h *Handler) limiter(who schemas.Person) *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.people[who.Subject]
	if !ok {
		if len(h.people) >= mostPeople { // all start with a full burst again
			clear(h.people)
		}
		l = rate.NewLimiter(rate.Limit(h.o.PerSecond), h.o.Burst)
		h.people[who.Subject] = l
	}
	return l
}

// fail responds with a problem.
func fail(w http.ResponseWriter, p Problem) {
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
