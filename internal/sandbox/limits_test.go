package sandbox

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// clock is a time that only the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func startWithClock(t *testing.T, config Config) (*caller, *clock) {
	clock := &clock{time.Unix(1_800_000_000, 0)}
	c := serve(t, config)
	c.server.now = clock.now
	return c, clock
}

func TestRates(t *testing.T) {
	c, clock := startWithClock(t, Config{NewList: -1})
	l := c.list("l")
	body := fmt.Sprintf(`{"listId":%d,"subscribers":[]}`, l)
	taken := func(path string, tries int) (n int) {
		t.Helper()
		for range tries {
			method := "POST"
			if path == "getUsers" {
				method = "GET"
			}
			r := c.do(method, fmt.Sprintf("/api/lists/%s?listId=%d", path, l), body)
			switch r.status {
			case 200:
				n++
			case 429:
				if r.header.Get("Retry-After") != "" {
					t.Error("Retry-After was not asked for")
				}
			default:
				t.Fatal(r)
			}
		}
		return n
	}
	equal(t, "subscribe at once", taken("subscribe", 10), 5)
	equal(t, "unsubscribe has its own rate", taken("unsubscribe", 10), 5)
	clock.t = clock.t.Add(199 * time.Millisecond)
	equal(t, "too early", taken("subscribe", 1), 0)
	clock.t = clock.t.Add(time.Millisecond)
	equal(t, "one more", taken("subscribe", 3), 1)
	clock.t = clock.t.Add(time.Hour)
	equal(t, "after a pause", taken("subscribe", 10), 5)
	equal(t, "getUsers", taken("getUsers", 7), 5)
	clock.t = clock.t.Add(12 * time.Second)
	equal(t, "getUsers a fifth of a minute later", taken("getUsers", 7), 1)
	var s Stats
	decode(t, c.ok("GET", "/sandbox/stats", ""), &s)
	equal(t, "stats", s.Endpoints["lists/subscribe"], EndpointStats{Requests: 24, Throttled: 5 + 1 + 2 + 5})
}

func TestRateAndBurst(t *testing.T) {
	for want, config := range map[int]Config{20: {Rate: -1}, 3: {Rate: 3}, 7: {Rate: 3, Burst: 7}} {
		config.Fast = true
		c, _ := startWithClock(t, config)
		body := fmt.Sprintf(`{"listId":%d,"subscribers":[]}`, c.list("l"))
		n := 0
		for range 20 {
			if c.do("POST", "/api/lists/subscribe", body).status == 200 {
				n++
			}
		}
		equal(t, "taken", n, want)
	}
}

func TestLatencyIsSlept(t *testing.T) {
	c := start(t, Config{Latency: time.Hour})
	var slept time.Duration
	c.server.sleep = func(_ context.Context, d time.Duration) error {
		slept += d
		return nil
	}
	c.ok("GET", "/api/lists", "")
	c.ok("GET", "/sandbox/stats", "")
	equal(t, "slept", slept, time.Hour)
}
