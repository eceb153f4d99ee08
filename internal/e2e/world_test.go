package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// lookEvery is how often the tests look at a run.
const lookEvery = 50 * time.Millisecond

// uploadSlots is how many chunks the worker in this process sends at a time over
// a connection.
const uploadSlots = 8

// patience bounds the wait for anything that is to happen.
const patience = 2 * time.Minute

// world is everything that a run needs, in this process.
type world struct {
	t        *testing.T
	dir      string // holds the segments, the data root and the configuration
	sources  string // where the segments are
	dataRoot string
	others   string // further items of connections.yaml
	sandbox  *sandbox.Server
	url      string          // of the sandbox
	stack    *devstack.Stack // Temporal in this process; nil where it is one of its own
	temporal string          // its address
	client   client.Client
	operator *operate.Operator
	root     *storage.Root
	gate     *access.Gate     // nil: the worker asks nobody who they are
	metrics  *observe.Metrics // of the worker in this process, as is the tracer; may be nil
	tracer   trace.TracerProvider
	notify   notify.Options
	host     *host.Host // the worker in this process
}

// newWorld starts Temporal, a sandbox and, unless told otherwise, a worker.
func newWorld(t *testing.T, c sandbox.Config, hosted bool) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), sandbox: sandbox.New(c)}
	w.sources, w.dataRoot = w.path("segments"), w.path("data")
	w.startSandbox()
	w.startTemporal()
	w.writeConnections("{requestsPerSecond: 1000}")
	w.openRoot()
	if hosted {
		w.startHost()
	}
	return w
}

func (w *world) openRoot() {
	w.t.Helper()
	var err error
	if w.root, err = storage.OpenRoot(w.t.Context(), w.dataRoot); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.root.Close() })
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) startSandbox() {
	w.t.Helper()
	w.url = w.serve(w.sandbox)
}

// serve lets a sandbox answer until the test's end, and says where.
func (w *world) serve(s *sandbox.Server) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, l)
	}()
	w.t.Cleanup(func() { stop(); <-done })
	return "http://" + l.Addr().String()
}

func (w *world) startTemporal() {
	w.t.Helper()
	w.startTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0"})
}

func (w *world) startTemporalWith(o devstack.Options) {
	w.t.Helper()
	var err error
	w.stack, err = devstack.Start(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.stack.Stop() })
	w.temporal = w.stack.FrontendAddr()
	w.dial()
}

func (w *world) dial() {
	w.t.Helper()
	var err error
	w.client, err = client.Dial(client.Options{HostPort: w.temporal, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.client.Close)
	w.operator = &operate.Operator{Client: w.client, Namespace: "default", Who: "tester"}
}

const keyEnv = "E2E_SANDBOX_KEY"

// writeConnections writes connections.yaml with one connection, to the sandbox,
// that has these limits.
func (w *world) writeConnections(limits string) {
	w.t.Helper()
	if err := os.Setenv(keyEnv, sandbox.DefaultKey); err != nil { // the same for all, also side by side
		w.t.Fatal(err)
	}
	text := "connections:\n" + w.connection("sandbox", w.url, limits) + w.others
	if err := os.WriteFile(w.path("connections.yaml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// connection is an item of connections.yaml.
func (w *world) connection(name, url, limits string) string {
	return fmt.Sprintf(`  - name: %s
    baseURL: %s
    apiKey: {env: %s}
    allowed: [administrators, contributors]
    allowedSources: [%q]
    limits: %s
    consent: {acceptedBy: tester, acceptedAt: 2026-01-01T00:00:00Z, statement: v1}
`, name, url, keyEnv, w.sources, limits)
}

func (w *world) startHost() {
	w.t.Helper()
	store, err := config.OpenConnections(w.path("connections.yaml"), slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := host.Start(w.t.Context(), host.Options{
		Client: w.client, Connections: store, Access: w.gate, Root: w.root, Log: slog.New(slog.DiscardHandler),
		StagingSlots: 4, UploadSlots: uploadSlots, StopTimeout: 5 * time.Second, TempDir: w.t.TempDir(),
		Notify: w.notify, Metrics: w.metrics, Tracer: w.tracer, Version: "dev",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(h.Stop)
	w.host = h
}

// export is an export of one segment with the addresses in a column.
func (w *world) export(segment, email string) schemas.Export {
	return schemas.Export{
		Name: segment, Connection: "sandbox", Email: email,
		Segments: []schemas.Segment{{Name: segment, Source: w.sources}},
	}
}

// run runs the export to its end, or until it waits.
func (w *world) run(e schemas.Export) operate.View {
	w.t.Helper()
	return w.watch(w.start(e))
}

func (w *world) start(e schemas.Export) operate.Run {
	w.t.Helper()
	run, _, err := w.operator.Start(w.t.Context(), e, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) watch(run operate.Run) operate.View {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	v, err := w.operator.Watch(ctx, run, lookEvery, true, nil)
	if err != nil {
		w.t.Fatalf("%v; last seen: %+v", err, v)
	}
	return v
}

// done fails the test unless the run got through, and gives its only segment's
// report.
func (w *world) done(v operate.View) schemas.ExportReport {
	w.t.Helper()
	if v.State != schemas.StateDone {
		w.t.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
	return v.Segments[0].Report
}

// waiting fails the test unless the run waits for an operator.
func (w *world) waiting(v operate.View) schemas.Waiting {
	w.t.Helper()
	if v.State != schemas.StateWaiting {
		w.t.Fatalf("the run is %s: %s %+v", v.State, v.Error, v.Segments)
	}
	if v.Waiting != nil {
		return *v.Waiting
	}
	for _, s := range v.Segments {
		if s.Waiting != nil {
			return *s.Waiting
		}
	}
	w.t.Fatalf("nothing waits: %+v", v)
	return schemas.Waiting{}
}

// answer answers a waiting run, and watches it again.
func (w *world) answer(v operate.View, answer string) operate.View {
	w.t.Helper()
	if _, err := w.operator.Answer(w.t.Context(), v.Run, answer); err != nil {
		w.t.Fatal(err)
	}
	return w.watch(v.Run)
}

// list gives what the sandbox holds under a name.
func (w *world) list(name string) sandbox.ListStats {
	w.t.Helper()
	for _, p := range w.sandbox.Stats(true).Projects {
		for _, l := range p.Lists {
			if l.Name == name {
				return l
			}
		}
	}
	w.t.Fatalf("the sandbox has no list %q", name)
	return sandbox.ListStats{}
}

// requests counts the sandbox's requests at an endpoint.
func (w *world) requests(endpoint string) int64 {
	return w.sandbox.Stats(false).Endpoints[endpoint].Requests
}
