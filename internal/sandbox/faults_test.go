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

// fault puts faults in place of those that there are.
func (c *caller) fault(faults ...Fault) {
	c.t.Helper()
	c.server.ClearFaults()
	if err := c.server.AddFaults(faults...); err != nil {
		c.t.Fatal(err)
	}
}

// met waits until a request has met the only fault, which has a Count of 1.
func (c *caller) met() {
	for left := 1; left > 0; {
		c.server.mu.Lock()
		left = len(c.server.faults)
		c.server.mu.Unlock()
	}
}

func TestStatusFaults(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	body := fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com"}]}`, l)
	for _, f := range []struct {
		fault Fault
		want  reply
	}{
		{Fault{Kind: "status"}, reply{status: 500, body: `{"msg":"The sandbox was told to fail","code":"GenericError","params":null}`}},
		{Fault{Kind: "status", Status: 503, Code: "DatabaseError", Message: "m", RetryAfter: 7},
			reply{503, http.Header{"Retry-After": {"7"}}, `{"msg":"m","code":"DatabaseError","params":null}`}},
		{Fault{Kind: "status", Status: 502, Body: "html"}, reply{status: 502, body: "<html>\n<head><title>502 Bad Gateway</title></head>"}},
		{Fault{Kind: "status", Status: 504, Body: "text", Message: "gone"}, reply{status: 504, body: "gone"}},
		{Fault{Kind: "status", Body: "success", Message: "m"}, reply{status: 500, body: `{"msg":"m","code":"Success","params":null}`}},
		{Fault{Kind: "status", Status: 400, Body: "truncated", Message: "m"}, reply{status: 400, body: `{"msg":"m","code":"Gene`}},
		{Fault{Kind: "status", Status: 200, Body: "empty"}, reply{status: 200}},
		{Fault{Kind: "storm", RetryAfter: 1}, reply{429, http.Header{"Retry-After": {"1"}}, `{"msg":"The sandbox was told to fail","code":"RateLimitExceeded"`}},
	} {
		c.fault(f.fault)
		got := c.do("POST", "/api/lists/subscribe", body)
		if got.status != f.want.status || !strings.HasPrefix(got.body, f.want.body) || got.header.Get("Retry-After") != f.want.header.Get("Retry-After") {
			t.Errorf("%+v: %+v", f.fault, got)
		}
		equal(t, "members", len(c.members(l)), 0)
	}
	c.fault(Fault{Kind: "status", Status: 200, Body: "truncated", Apply: true})
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
	c.fault(Fault{Kind: "status", Count: 2})
	equal(t, "count", pattern(5), "xx...")
	c.fault(Fault{Kind: "status", Count: 1, Skip: 2}, Fault{Kind: "status", Skip: 1, Count: 1})
	equal(t, "skip", pattern(5), ".xx..")
	c.fault(Fault{Kind: "status", Endpoint: "lists/size"})
	equal(t, "another endpoint", pattern(3), "...")
	c.fault(Fault{Kind: "status", Endpoint: "lists"})
	equal(t, "this endpoint", pattern(3), "xxx")
	c.fault(Fault{Kind: "storm", For: time.Minute})
	equal(t, "in the storm", pattern(2), "xx")
	clock.t = clock.t.Add(time.Minute)
	equal(t, "after the storm", pattern(2), "..")
	c.fault(Fault{Kind: "status", Share: 0.3, Seed: 7})
	first := pattern(200)
	c.fault(Fault{Kind: "status", Share: 0.3, Seed: 7})
	equal(t, "the same seed", pattern(200), first)
	if n := strings.Count(first, "x"); n < 40 || n > 80 {
		t.Errorf("%d of 200 fail with a share of 0.3", n)
	}
	c.fault(Fault{Kind: "status", Share: 1, Seed: 7, Count: 3})
	equal(t, "share and count", pattern(5), "xxx..")
	c.fault()
	equal(t, "cleared", pattern(2), "..")
	for _, bad := range []Fault{{}, {Kind: "x"}, {Kind: "status", Endpoint: "x"}} {
		if c.server.AddFaults(Fault{Kind: "status"}, bad) == nil {
			t.Errorf("%+v is added", bad)
		}
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
		c.fault(Fault{Kind: kind, Endpoint: "lists/subscribe", Count: 1})
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
	equal(t, "log", []any{log[0].Status, log[0].Rows, log[1].Status, log[1].Rows, log[2].Status}, []any{0, 0, 0, 1, 200})
	equal(t, "faults", c.server.Stats(false).Endpoints["lists/subscribe"].Faults, 2)
}

func TestHang(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	for _, apply := range []bool{false, true} {
		c.fault(Fault{Kind: "hang", Apply: apply, Count: 1})
		ctx, giveUp := context.WithCancel(t.Context())
		done := make(chan error, 1)
		r, _ := http.NewRequestWithContext(ctx, "POST", c.url+"/api/lists/subscribe", strings.NewReader(fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com"}]}`, l)))
		r.Header.Set("Api-Key", c.key)
		go func() {
			_, err := http.DefaultClient.Do(r)
			done <- err
		}()
		c.met()
		giveUp()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the request ended with %v", err)
		}
		equal(t, "members", len(c.members(l)), map[bool]int{true: 1}[apply])
	}
	c.fault(Fault{Kind: "hang", Count: 1})
	done := make(chan error, 1)
	go func() {
		_, err := c.try("POST", "/api/lists", `{"name":"x"}`) // a GET would be tried again
		done <- err
	}()
	c.met()
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
	c.fault(Fault{Kind: "slow", Delay: time.Minute, Endpoint: "lists/subscribe"}, Fault{Kind: "status", Delay: time.Second, Endpoint: "lists"})
	equal(t, "answer", c.update("subscribe", l, `{"email":"a@example.com"}`).SuccessCount, 1)
	equal(t, "slept", slept, time.Minute)
	c.refused("GET", "/api/lists", "", 500, "GenericError")
	equal(t, "slept", slept, time.Minute+time.Second)

	// A client that gives up while the answer is delayed gets no answer.
	c.server.sleep = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := c.try("GET", "/api/lists", ""); err == nil {
		t.Error("an answer although the sleep was broken off")
	}
}
