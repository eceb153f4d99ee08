package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAFleetLosesAHost has workers on three hosts share one Temporal and one
// bucket. One is cut off in the midst of sending, and plugged in again when the
// others have done its work.
func TestAFleetLosesAHost(t *testing.T) {
	c := emulators.S3(t)
	w := newWorld(t, sandbox.Config{Rate: 60, Latency: 30 * time.Millisecond}, false)
	w.inBucket(c)
	w.writeConnections("{requestsPerSecond: 60, subscribersPerRequest: 50}")
	const segments = 6
	e := schemas.Export{Name: "Fleet", Connection: "sandbox", Email: "EmailAddress"}
	var expected [segments]generate.Expected
	for i := range segments {
		name := fmt.Sprintf("Segment %d", i)
		at := c.At(fmt.Sprintf("lake/segments/%d", i))
		out := filepath.Join(t.TempDir(), "segments")
		var err error
		if expected[i], err = generate.Segment(t.Context(), generate.Options{Rows: 2500, Out: out, Bad: 0.02, Seed: int64(i)}); err != nil {
			t.Fatal(err)
		}
		w.sources = at
		w.publish(out)
		e.Segments = append(e.Segments, schemas.Segment{Name: name, Source: strings.Split(at, "?")[0]})
	}
	iterable := strings.TrimPrefix(w.url, "http://")
	var hosts []*hostMachine
	for i := range 3 {
		hosts = append(hosts, w.newHost(i+1, w.stack.FrontendAddr(), c.Addr, iterable))
	}
	bin := build(t, "worker")
	for _, h := range hosts {
		h.worker(bin)
	}
	run := w.start(e)
	cutOff := hosts[0]
	w.until("the first host is sending", func() bool { return cutOff.came[iterable].Load() > 50_000 })
	cutOff.plug(false)
	sent := cutOff.came[iterable].Load()
	w.allSent(run, e)
	if now := cutOff.came[iterable].Load(); now > sent+100_000 {
		t.Errorf("%d bytes came from the host that was cut off", now-sent)
	}
	for i := range segments {
		if l := w.list(e.Segments[i].Name); l.Digest != expected[i].Digest {
			t.Errorf("%s has %d members and another digest than expected (%d)", e.Segments[i].Name, l.Size, expected[i].Valid)
		}
	}
	// What the host still had to say comes late, and does no harm.
	late, said := w.requests("lists/subscribe"), cutOff.came[w.stack.FrontendAddr()].Load()
	cutOff.plug(true)
	w.until("the host is back", func() bool {
		return cutOff.came[w.stack.FrontendAddr()].Load() > said
	})
	t.Logf("%d requests before the host was back, %d after", late, w.requests("lists/subscribe"))
	w.allSent(w.start(e), e)
	for i := range segments {
		if l := w.list(e.Segments[i].Name); l.Digest != expected[i].Digest {
			t.Errorf("after the host was back, %s has %d members and another digest than expected", e.Segments[i].Name, l.Size)
		}
	}
}

// allSent watches a run of several segments to its end.
func (w *world) allSent(run operate.Run, e schemas.Export) {
	w.t.Helper()
	v := w.watch(run)
	if v.State != schemas.StateDone || len(v.Segments) != len(e.Segments) {
		w.t.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
}

// TestASlowProjectHoldsUpNobody has one connection lead to a project that hardly
// answers, with more to send than a worker has slots for.
func TestASlowProjectHoldsUpNobody(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	expected := w.generated(3000)
	slow := sandbox.New(sandbox.Config{})
	var waiting atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "lists/subscribe") {
			waiting.Add(1)
			<-release
		}
		slow.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.others = w.connection("slow", server.URL, "{requestsPerSecond: 1000}")
	w.writeConnections("{requestsPerSecond: 1000}")
	w.startHost()
	e := schemas.Export{Name: "Slow", Connection: "slow", Email: "EmailAddress"}
	for i := range 10 {
		e.Segments = append(e.Segments, schemas.Segment{Name: fmt.Sprintf("Slow %d", i), Source: w.sources})
	}
	stuck := w.start(e)
	w.until("the slow project's slots are taken", func() bool { return waiting.Load() >= uploadSlots })
	r := w.done(w.run(w.export("Fast", "EmailAddress")))
	if l := w.list("Fast"); l.Digest != expected.Digest || r.Upload.Sent != expected.Valid {
		t.Errorf("the list has %d members, want %d", l.Size, expected.Valid)
	}
	close(release)
	w.allSent(stuck, e)
}
