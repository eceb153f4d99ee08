package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"golang.org/x/time/rate"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/schemas"
)

// slowly returns a handler, and ask, which does an operation as a person with just enough rights. The
// operation sends to begun, and then waits for end.
func slowly(rt route, method string) (h *Handler, ask func(who string) error, begun, end chan bool) {
	h = &Handler{
		o:      Options{Office: &Office{}, PerSecond: 100, Burst: 100},
		people: map[string]*rate.Limiter{}, open: map[[2]string]int{},
	}
	begun, end = make(chan bool), make(chan bool)
	rt.serve = func(*Local, http.ResponseWriter, *http.Request) error {
		begun <- true
		<-end
		return nil
	}
	return h, func(who string) error {
		return h.do(rt, schemas.Person{Name: who, Subject: who, Role: rt.least}, httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
	}, begun, end
}

// Somebody who asks for much that is costly leaves room for others.
func TestOnePersonLeavesRoomForCostlyOperationsOfOthers(t *testing.T) {
	h, ask, begun, end := slowly(route{name: "slow", least: schemas.RoleViewer, costly: true}, http.MethodGet)
	answers := make(chan error)
	for range mostCostly {
		go func() { answers <- ask("eve") }()
		<-begun
	}
	if err := ask("eve"); !access.IsRefused(err, CodeTooMany) {
		t.Errorf("one more of the same person: %v", err)
	}
	go func() { answers <- ask("ann") }()
	<-begun
	close(end)
	for range mostCostly + 1 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if len(h.open) != 0 {
		t.Errorf("still counted: %v", h.open)
	}
}

// Whoever sends slowly, or never all of it, keeps no costly operation from others.
func TestASlowBodyHoldsNoPlaceOfOthers(t *testing.T) {
	h, _, _, _ := slowly(route{least: schemas.RoleContributor}, http.MethodPost)
	rt := route{name: "slow", least: schemas.RoleContributor, costly: true, serve: func(_ *Local, _ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}}
	ask := func(who string, body io.Reader) error {
		return h.do(rt, schemas.Person{Name: who, Subject: who, Role: rt.least}, httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", body))
	}
	answers := make(chan error)
	var ends []*io.PipeWriter
	for _, who := range []string{"eve", "mallory"} {
		for range mostCostly {
			body, end := io.Pipe()
			ends = append(ends, end)
			go func() { answers <- ask(who, body) }()
			if _, err := end.Write([]byte("{")); err != nil { // the request is under way
				t.Fatal(err)
			}
		}
	}
	if err := ask("ann", strings.NewReader("{}")); err != nil {
		t.Errorf("another person: %v", err)
	}
	for _, end := range ends {
		_ = end.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-answers; !access.IsRefused(err, schemas.ErrorBadRequest) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("who ended early: %v", err)
		}
	}
	if len(h.open) != 0 {
		t.Errorf("still counted: %v", h.open)
	}
}

// Somebody who asks for much at a time waits for their own requests. Such a request may read all
// schedules, or a file of a megabyte.
func TestOnePersonsRequestsWaitForEachOther(t *testing.T) {
	h, ask, begun, end := slowly(routes[slices.IndexFunc(routes, func(rt route) bool { return rt.name == "startRun" })], http.MethodPost)
	answers := make(chan error)
	for range mostAtOnce {
		go func() { answers <- ask("eve") }()
		<-begun
	}
	if err := ask("eve"); !access.IsRefused(err, CodeTooMany) {
		t.Errorf("one more of the same person: %v", err)
	}
	go func() { answers <- ask("ann") }()
	<-begun
	end <- true
	if err := <-answers; err != nil {
		t.Error(err)
	}
	h.patience = time.Minute
	go func() { answers <- ask("eve") }()
	close(end)
	<-begun
	for range mostAtOnce + 1 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if len(h.open) != 0 {
		t.Errorf("still counted: %v", h.open)
	}
}

// A stream ends soon after the token that it began with.
func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	provider := accesstest.New(t)
	h := &Handler{
		o:      Options{Office: &Office{}, Tokens: provider.Tokens(), PerSecond: 100, Burst: 100, Log: slog.New(slog.DiscardHandler)},
		people: map[string]*rate.Limiter{}, open: map[[2]string]int{},
	}
	follow := route{name: "follow", least: schemas.RoleViewer, kind: "text/event-stream", serve: func(_ *Local, _ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return nil
	}}
	ended := func(life, within time.Duration) bool {
		claims := provider.Claims("ann", schemas.RoleViewer)
		claims["exp"] = time.Now().Add(life).Unix()
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+provider.Sign(claims, nil))
		w := httptest.NewRecorder()
		h.serve(follow, w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%d, %s", w.Code, w.Body)
		}
		return ctx.Err() == nil
	}
	if !ended(2*time.Second, time.Minute) {
		t.Error("it goes on after its token has expired")
	}
	if ended(time.Hour, tokenEvery+2*time.Second) {
		t.Error("it ends although its token is good")
	}
	if len(h.open) != 0 {
		t.Errorf("still counted: %v", h.open)
	}
}

// A list of a thousand runs asks Temporal a thousand times, and counts for it.
func TestALongListCountsAsManyRequests(t *testing.T) {
	h := &Handler{o: Options{Office: &Office{}, PerSecond: 0.0001, Burst: 50}, people: map[string]*rate.Limiter{}, open: map[[2]string]int{}}
	at := slices.IndexFunc(routes, func(rt route) bool { return rt.name == "listRuns" })
	runs := routes[at]
	runs.serve = func(*Local, http.ResponseWriter, *http.Request) error { return nil }
	ask := func(who, limit string) bool {
		p := schemas.Person{Name: who, Subject: who, Role: schemas.RoleViewer}
		err := h.do(runs, p, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/runs"+limit, nil))
		if err != nil && !access.IsRefused(err, CodeTooMany) {
			t.Error(err)
		}
		return err == nil
	}
	for who, limits := range map[string][]string{"ann": {"?limit=1000"}, "bob": {"?limit=500", "?limit=500"}, "eve": {"?limit=99999999"}, "joe": slices.Repeat([]string{""}, 50)} {
		for i, limit := range limits {
			if !ask(who, limit) {
				t.Errorf("%s: request %d, %s, is refused", who, i, limit)
			}
		}
		if ask(who, "") {
			t.Errorf("%s asks for more than allowed: %v", who, limits)
		}
	}
}

// deadlines is an answer that notes how long each write of it may take.
type deadlines struct {
	*httptest.ResponseRecorder
	at  time.Time
	all []time.Duration
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.at = at
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	d.all = append(d.all, time.Until(d.at))
	return d.ResponseRecorder.Write(p)
}

// Who reads slowly has each write wait for a short time, and no stream of rows goes on
// after its request's time.
func TestNoWriteWaitsForLong(t *testing.T) {
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = &recorder{ResponseWriter: w}
		for range 3 {
			_, _ = w.Write([]byte("row"))
		}
	})).ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/", nil))
	if len(d.all) != 3 {
		t.Errorf("%d writes", len(d.all))
	}
	for _, left := range append(d.all, time.Until(d.at)) {
		if left <= writeTime-5*time.Second || left > writeTime {
			t.Errorf("a write may take %s", left)
		}
	}
	if idleTime >= writeTime {
		t.Error("a connection that idled has a bound in the past")
	}
}

// A stream of rejects ends when its request's time is over, and says so in its last object.
func TestAStreamOfRejectsEnds(t *testing.T) {
	h := &Handler{o: Options{Office: &Office{Log: slog.New(slog.DiscardHandler)}, PerSecond: 1, Burst: 1}, answer: 10 * time.Millisecond,
		patience: time.Second, people: map[string]*rate.Limiter{}, open: map[[2]string]int{}}
	rt := routes[slices.IndexFunc(routes, func(rt route) bool { return rt.name == "getRejects" })]
	rt.serve = func(l *Local, w http.ResponseWriter, r *http.Request) error {
		return l.stream(w, r, func(yield func(Reject) error) error {
			for { // more rows than anyone reads
				if err := yield(Reject{Segment: "VIP"}); err != nil {
					return err
				}
			}
		})
	}
	w := httptest.NewRecorder()
	if err := h.do(rt, schemas.Person{Name: "ann", Subject: "ann", Role: schemas.RoleAdministrator}, w, httptest.NewRequest(http.MethodGet, "/", nil)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(lines[0], `{"segment":"VIP"`) || !strings.HasPrefix(last, `{"problem":`) {
		t.Errorf("%d rows, and at the end %s", len(lines)-1, last)
	}
}

// One address leaves connections to others.
func TestOneAddressLeavesConnectionsToOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sharing{Listener: l, most: 2, open: map[string]int{}}
	defer s.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	closed := func(c net.Conn) bool {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err := c.Read(make([]byte, 1))
		var late net.Error
		return err != nil && !(errors.As(err, &late) && late.Timeout())
	}
	dial("127.0.0.1")
	first := <-accepted
	dial("127.0.0.1")
	<-accepted
	if !closed(dial("127.0.0.1")) {
		t.Error("a third connection of one address is kept")
	}
	dial("127.0.0.2")
	<-accepted
	_, _ = first.Close(), first.Close() // which counts once
	dial("127.0.0.1")
	<-accepted
	if !closed(dial("127.0.0.1")) {
		t.Error("a third connection of one address is kept, after one was closed twice")
	}
}

// Plans and their application read files and ask Temporal about every export.
func TestPlansAreCostly(t *testing.T) {
	for _, rt := range routes {
		if strings.HasSuffix(rt.pattern, "/plans") || rt.name == "applyExports" {
			if !rt.costly {
				t.Errorf("%s is not bounded", rt.name)
			}
		}
	}
}

// Neither an error nor the doctor tells hosts and folders to who is no administrator.
func TestHostsAreNotTold(t *testing.T) {
	for _, err := range []error{
		errors.New("dial tcp 10.0.0.5:7233: refused"), fmt.Errorf("list the runs: %w", serviceerror.NewUnavailable("dial tcp 10.0.0.5:7233: refused")),
		fmt.Errorf("ask 10.0.0.5: %w", context.DeadlineExceeded), fmt.Errorf("%w: dial tcp 10.0.0.5:443: refused", access.ErrProvider),
	} {
		for _, role := range []schemas.Role{"", schemas.RoleViewer, schemas.RoleContributor} {
			if p := problemOf(err).forPerson(schemas.Person{Role: role}); strings.Contains(p.Detail, "10.0.0.5") {
				t.Errorf("a %q is told %s", role, p.Detail)
			}
		}
		if p := problemOf(err).forPerson(schemas.Person{Role: schemas.RoleAdministrator}); p.Detail != err.Error() {
			t.Errorf("an administrator is told %s", p.Detail)
		}
	}
	if p := problemOf(access.ErrProvider).forPerson(schemas.Person{}); p.Detail != access.ErrProvider.Error() {
		t.Errorf("whose provider is away is told %s", p.Detail)
	}
}

// What went wrong inside of a worker is for administrators and the log.
func TestOnlyAdministratorsSeeInternalErrors(t *testing.T) {
	var log strings.Builder
	for role, want := range map[schemas.Role]string{
		schemas.RoleContributor: "the gateway failed; its log says why", schemas.RoleAdministrator: "dial tcp 10.0.0.7: refused",
	} {
		l := (&Office{Log: slog.New(slog.NewTextHandler(&log, nil))}).As(schemas.Person{Role: role})
		if got := l.told("create", "Newsletter", errors.New("dial tcp 10.0.0.7: refused")); got != want {
			t.Errorf("%s is told %q, want %q", role, got, want)
		}
	}
	if !strings.Contains(log.String(), "10.0.0.7") {
		t.Errorf("the log lacks the error: %s", log.String())
	}
}
