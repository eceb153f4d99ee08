package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (c *caller) fault(faults ...string) {
	c.t.Helper()
	c.ok("DELETE", "/sandbox/faults", "")
	for _, f := range faults {
		c.ok("POST", "/sandbox/faults", f)
	}
}

func TestStatusFaults(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	body := fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com"}]}`, l)
	for fault, want := range map[string]reply{
		`{"kind":"status"}`: {status: 500, body: `{"msg":"The sandbox was told to fail","code":"GenericError","params":null}`},
		`{"kind":"status","status":503,"code":"DatabaseError","message":"m","retryAfter":7}`: {503, http.Header{"Retry-After": {"7"}}, `{"msg":"m","code":"DatabaseError","params":null}`},
		`{"kind":"status","status":502,"body":"html"}`:                                       {status: 502, body: "<html>\n<head><title>502 Bad Gateway</title></head>"},
		`{"kind":"status","status":504,"body":"text","message":"gone"}`:                      {status: 504, body: "gone"},
		`{"kind":"status","body":"success","message":"m"}`:                                   {status: 500, body: `{"msg":"m","code":"Success","params":null}`},
		`{"kind":"status","status":400,"body":"truncated","message":"m"}`:                    {status: 400, body: `{"msg":"m","code":"Gene`},
		`{"kind":"status","status":200,"body":"empty"}`:                                      {status: 200},
		`{"kind":"storm","retryAfter":1}`:                                                    {429, http.Header{"Retry-After": {"1"}}, `{"msg":"The sandbox was told to fail","code":"RateLimitExceeded"`},
	} {
		c.fault(fault)
		got := c.do("POST", "/api/lists/subscribe", body)
		if got.status != want.status || !strings.HasPrefix(got.body, want.body) || got.header.Get("Retry-After") != want.header.Get("Retry-After") {
			t.Errorf("%s: %+v", fault, got)
		}
		equal(t, "members after "+fault, len(c.members(l)), 0)
	}
	c.fault(`{"kind":"status","status":200,"body":"truncated","apply":true}`)
	if got := c.do("POST", "/api/lists/subscribe", body); got.status != 200 || !strings.HasPrefix(got.body, `{"successCount":`) || strings.HasSuffix(got.body, "}") {
		t.Errorf("a truncated answer: %+v", got)
	}
	equal(t, "members after a truncated answer", c.members(l), []string{"a@example.com"})
}

func TestWhichRequestsFail(t *testing.T) {
	c, clock := startWithClock(t, Config{Fast: true})
	pattern := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(map[bool]string{true: ".", false: "x"}[c.do("GET", "/api/lists", "").status == 200])
		}
		return b.String()
	}
	c.fault(`{"kind":"status","count":2}`)
	equal(t, "count", pattern(5), "xx...")
	c.fault(`[{"kind":"status","count":1,"skip":2},{"kind":"status","skip":1,"count":1}]`)
	equal(t, "skip", pattern(5), ".xx..")
	c.fault(`{"kind":"status","endpoint":"lists/size"}`)
	equal(t, "another endpoint", pattern(3), "...")
	c.fault(`{"kind":"status","endpoint":"lists"}`)
	equal(t, "this endpoint", pattern(3), "xxx")
	c.fault(`{"kind":"storm","for":"1m"}`)
	equal(t, "in the storm", pattern(2), "xx")
	clock.t = clock.t.Add(time.Minute)
	equal(t, "after the storm", pattern(2), "..")
	c.fault(`{"kind":"status","share":0.3,"seed":7}`)
	first := pattern(200)
	c.fault(`{"kind":"status","share":0.3,"seed":7}`)
	equal(t, "the same seed", pattern(200), first)
	if n := strings.Count(first, "x"); n < 40 || n > 80 {
		t.Errorf("%d of 200 fail with a share of 0.3", n)
	}
	c.fault(`{"kind":"status","share":1,"seed":7,"count":3}`)
	equal(t, "share and count", pattern(5), "xxx..")
	c.fault()
	equal(t, "cleared", pattern(2), "..")
	for _, bad := range []string{`{}`, `{"kind":"x"}`, `{"kind":"status","body":"x"}`, `{"kind":"status","share":2}`, `{"kind":"status","count":-1}`, `{"kind":"status","status":99}`,
		`{"kind":"status","endpoint":"x"}`, `{"kind":"status","for":"-1s"}`, `{"kind":"status","for":1}`, `{"kind":"status","x":1}`, `{"kind":"status"} x`, `[{"kind":"status"},{"kind":"x"}]`, `x`} {
		c.refused("POST", "/sandbox/faults", bad, 400, "BadParams")
	}
	equal(t, "bad faults change nothing", pattern(2), "..")
}

func TestBrokenConnections(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	body := func(who string) string {
		return fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"%s@example.com"}]}`, l, who)
	}
	var members []string
	for _, kind := range []string{"reset", "drop"} {
		c.fault(`{"kind":"` + kind + `","endpoint":"lists/subscribe","count":1}`)
		_, err := c.try("POST", "/api/lists/subscribe", body(kind))
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", kind, err)
		}
		if kind == "drop" {
			members = append(members, "drop@example.com")
		}
		equal(t, "members after "+kind, fmt.Sprint(c.members(l)), fmt.Sprint(members))
	}
	c.update("subscribe", l, `{"email":"drop@example.com"}`)
	log := c.server.Requests(3)
	equal(t, "log", []any{log[0].Status, log[0].Rows, log[0].Fault, log[1].Status, log[1].Rows, log[2].Status}, []any{0, 0, "reset", 0, 1, 200})
}

func TestHang(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	met := make(chan string, 1)
	c.server.met = func(kind string) { met <- kind }
	for _, apply := range []bool{false, true} {
		c.fault(fmt.Sprintf(`{"kind":"hang","apply":%t,"count":1}`, apply))
		ctx, giveUp := context.WithCancel(t.Context())
		done := make(chan error, 1)
		r, _ := http.NewRequestWithContext(ctx, "POST", c.url+"/api/lists/subscribe", strings.NewReader(fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com"}]}`, l)))
		r.Header.Set("Api-Key", c.key)
		go func() {
			_, err := http.DefaultClient.Do(r)
			done <- err
		}()
		equal(t, "fault", <-met, "hang")
		giveUp()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the request ended with %v", err)
		}
		equal(t, "members", len(c.members(l)), map[bool]int{true: 1}[apply])
	}
	c.fault(`{"kind":"hang"}`)
	done := make(chan error, 1)
	go func() {
		_, err := c.try("POST", "/api/lists", `{"name":"x"}`) // a GET would be tried again
		done <- err
	}()
	<-met
	c.fault()
	if err := <-done; err == nil {
		t.Error("a request that hung was answered")
	}
}

func TestSlow(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	var slept time.Duration
	c.server.sleep = func(_ context.Context, d time.Duration) error {
		slept += d
		return nil
	}
	c.fault(`{"kind":"slow","delay":"1m","endpoint":"lists/subscribe"}`, `{"kind":"status","delay":"1s","endpoint":"lists"}`)
	equal(t, "answer", c.update("subscribe", l, `{"email":"a@example.com"}`).SuccessCount, 1)
	equal(t, "slept", slept, time.Minute)
	c.refused("GET", "/api/lists", "", 500, "GenericError")
	equal(t, "slept", slept, time.Minute+time.Second)

	// A client that gives up while the answer is held back gets none.
	c.server.sleep = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := c.try("GET", "/api/lists", ""); err == nil {
		t.Error("an answer although the sleep was broken off")
	}
}
