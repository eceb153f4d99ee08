package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
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
	t.Parallel()
	c := emulators.S3(t)
	w := world.New(t, sandbox.Config{Rate: 60, Latency: 30 * time.Millisecond}, false)
	w.InBucket(c)
	w.WriteConnections("{requestsPerSecond: 60, subscribersPerRequest: 50}")
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
		w.Sources = at
		w.Publish(out)
		e.Segments = append(e.Segments, schemas.Segment{Name: name, Source: strings.Split(at, "?")[0]})
	}
	iterable := strings.TrimPrefix(w.URL, "http://")
	var hosts []*hostMachine
	for i := range 3 {
		hosts = append(hosts, newHost(w, i+1, w.Stack.FrontendAddr(), c.Addr, iterable))
	}
	bin := world.Build(t, "worker")
	for _, h := range hosts {
		h.worker(bin)
	}
	run := w.Start(e)
	cutOff := hosts[0]
	w.Until("the first host is sending", func() bool { return cutOff.came[iterable].Load() > 50_000 })
	cutOff.plug(false)
	sent := cutOff.came[iterable].Load()
	allSent(w, run, e)
	if now := cutOff.came[iterable].Load(); now > sent+100_000 {
		t.Errorf("%d bytes came from the host that was cut off", now-sent)
	}
	for i := range segments {
		if l := w.List(e.Segments[i].Name); l.Digest != expected[i].Digest {
			t.Errorf("%s has %d members and another digest than expected (%d)", e.Segments[i].Name, l.Size, expected[i].Valid)
		}
	}
	// What the host still had to say comes late, and does no harm.
	late, said := w.Requests("lists/subscribe"), cutOff.came[w.Stack.FrontendAddr()].Load()
	cutOff.plug(true)
	w.Until("the host is back", func() bool {
		return cutOff.came[w.Stack.FrontendAddr()].Load() > said
	})
	t.Logf("%d requests before the host was back, %d after", late, w.Requests("lists/subscribe"))
	allSent(w, w.Start(e), e)
	for i := range segments {
		if l := w.List(e.Segments[i].Name); l.Digest != expected[i].Digest {
			t.Errorf("after the host was back, %s has %d members and another digest than expected", e.Segments[i].Name, l.Size)
		}
	}
}

// allSent watches a run of several segments to its end.
func allSent(w *world.World, run operate.Run, e schemas.Export) {
	w.T.Helper()
	v := w.Watch(run)
	if v.State != schemas.StateDone || len(v.Segments) != len(e.Segments) {
		w.T.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
}

// TestASlowProjectHoldsUpNobody has one connection lead to a project that hardly
// answers, with more to send than a worker has slots for.
func TestASlowProjectHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	expected := w.Generated(3000)
	slow := world.NewSandbox(t, sandbox.Config{})
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
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer) // server.Close waits for its calls, also if the test fails
	w.Others = w.Connection("slow", server.URL, "{}")
	w.WriteConnections("{}")
	w.StartHost()
	e := schemas.Export{Name: "Slow", Connection: "slow", Email: "EmailAddress"}
	for i := range 10 {
		e.Segments = append(e.Segments, schemas.Segment{Name: fmt.Sprintf("Slow %d", i), Source: w.Sources})
	}
	stuck := w.Start(e)
	w.Until("the slow project's slots are taken", func() bool { return waiting.Load() >= world.UploadSlots })
	r := w.Done(w.Run(w.Export("Fast", "EmailAddress")))
	if l := w.List("Fast"); l.Digest != expected.Digest || r.Upload.Sent != expected.Valid {
		t.Errorf("the list has %d members, want %d", l.Size, expected.Valid)
	}
	answer()
	allSent(w, stuck, e)
}
