// Package world is shared by the end-to-end tests. It has an embedded Temporal, a worker, the
// sandbox and an operator, with real files.
package world

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// LookEvery is how often the tests look at a run that has just started.
const LookEvery = 50 * time.Millisecond

// UploadSlots is the number of chunks that the worker in this process sends concurrently over a
// connection.
const UploadSlots = 8

// Patience is the maximum wait for an expected event.
const Patience = 2 * time.Minute

// World is everything that a run needs, in this process.
type World struct {
	T        *testing.T
	Dir      string // with the segments, the data root and the configuration
	Sources  string // the folder or bucket of the segments
	DataRoot string
	Others   string // further items of connections.yaml
	Sandbox  *sandbox.Server
	URL      string          // of the sandbox
	Stack    *devstack.Stack // Temporal in this process; nil if it is a separate one
	Temporal string          // its address
	Client   client.Client
	Operator *operate.Session
	Root     *storage.Root
	Secrets  []string         // of the worker; without them, runs need no grant
	Metrics  *observe.Metrics // of the worker in this process, like Tracer; may be nil
	Tracer   trace.TracerProvider
	Notify   notify.Options
	Host     *host.Host // the worker in this process
}

// New starts Temporal, a sandbox and, if hosted is set, a worker.
func New(t *testing.T, c sandbox.Config, hosted bool) *World {
	t.Helper()
	w := &World{T: t, Dir: t.TempDir(), Sandbox: NewSandbox(t, c)}
	w.Sources, w.DataRoot = w.Path("segments"), w.Path("data")
	w.StartSandbox()
	w.StartTemporal()
	w.WriteConnections("{}")
	w.OpenRoot()
	if hosted {
		w.StartHost()
	}
	return w
}

// In returns the same world for a subtest.
func (w *World) In(t *testing.T) *World {
	sub := *w
	sub.T = t
	return &sub
}

// Path returns the path of a name in the world's folder.
func (w *World) Path(name string) string { return filepath.Join(w.Dir, name) }

// OpenRoot opens the data root.
func (w *World) OpenRoot() {
	w.T.Helper()
	var err error
	if w.Root, err = storage.OpenRoot(w.T.Context(), w.DataRoot); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { w.Root.Close() })
}

// StartSandbox serves the sandbox until the test's end.
func (w *World) StartSandbox() {
	w.T.Helper()
	w.URL = w.Serve(w.Sandbox)
}

// Serve serves a sandbox until the test's end, and returns its URL.
func (w *World) Serve(s *sandbox.Server) string {
	w.T.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.T.Fatal(err)
	}
	return w.ServeOn(s, l)
}

// ServeOn is Serve on a listener.
func (w *World) ServeOn(s *sandbox.Server, l net.Listener) string {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, l)
	}()
	w.T.Cleanup(func() { stop(); <-done })
	return "http://" + l.Addr().String()
}

// StartTemporal starts Temporal in this process.
func (w *World) StartTemporal() {
	w.T.Helper()
	w.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0"})
}

// StartTemporalWith starts Temporal with options.
func (w *World) StartTemporalWith(o devstack.Options) {
	w.T.Helper()
	stack, err := devstack.Start(w.T.Context(), o)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		if o.DataDir == "" {
			stopping.Go(func() { _ = stack.Stop() })
			return
		}
		_ = stack.Stop() // before its folder is deleted
	})
	w.Stack, w.Temporal = stack, stack.FrontendAddr()
	w.Dial()
}

// Dial connects the client and the operator to Temporal.
func (w *World) Dial() {
	w.T.Helper()
	var err error
	w.Client, err = client.Dial(client.Options{
		HostPort: w.Temporal, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}}, // nothing leaves this process
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(w.Client.Close)
	w.Operator = &operate.Session{Client: w.Client, Namespace: "default", Who: schemas.Person{Name: "tester", Role: schemas.RoleAdministrator}}
}

// StartHost starts a worker in this process.
func (w *World) StartHost() {
	w.T.Helper()
	store, err := config.OpenConnections(w.Path("connections.yaml"), slog.New(slog.DiscardHandler))
	if err != nil {
		w.T.Fatal(err)
	}
	gate, err := access.New(w.Root, w.Secrets)
	if err != nil {
		w.T.Fatal(err)
	}
	h, err := host.Start(w.T.Context(), host.Options{
		Client: w.Client, Connections: store, Access: gate, Root: w.Root, Log: slog.New(slog.DiscardHandler),
		StagingSlots: 4, UploadSlots: UploadSlots, StopTimeout: 5 * time.Second, TempDir: w.T.TempDir(),
		Notify: w.Notify, Metrics: w.Metrics, Tracer: w.Tracer, Version: "dev",
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(h.Stop)
	w.Host = h
}

// Service returns the gateway's service in this process, for an administrator.
func (w *World) Service() *gateway.Local { return w.Host.Office().As(w.Operator.Who) }

// Until waits for something to become true.
func (w *World) Until(what string, ok func() bool) {
	w.T.Helper()
	for started := time.Now(); ; {
		began := time.Now()
		if ok() {
			return
		}
		if time.Since(started) > Patience {
			w.T.Fatalf("not so: %s", what)
		}
		time.Sleep(Pause(started, began))
	}
}

// Pause returns how long to wait between two looks at something that is awaited since started, if
// the last look began at began. Looks take at most a third of the time, and fewer come the longer
// it takes: other tests need the machine.
func Pause(started, began time.Time) time.Duration {
	return max(5*time.Millisecond, 2*time.Since(began), min(time.Since(started)/20, time.Second))
}

// KeyEnv is the variable with the sandbox's key.
const KeyEnv = "E2E_SANDBOX_KEY"

// WriteConnections writes connections.yaml with a connection to the sandbox with these limits,
// and with Others.
func (w *World) WriteConnections(limits string) {
	w.T.Helper()
	if err := os.Setenv(KeyEnv, sandbox.DefaultKey); err != nil { // the same in parallel tests
		w.T.Fatal(err)
	}
	text := "connections:\n" + w.Connection("sandbox", w.URL, limits) + w.Others
	if err := os.WriteFile(w.Path("connections.yaml"), []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// Connection returns an item of connections.yaml.
func (w *World) Connection(name, url, limits string) string {
	return fmt.Sprintf(`  - name: %s
    baseURL: %s
    apiKey: {env: %s}
    allowed: [administrators, contributors]
    allowedSources: [%q]
    limits: %s
    consent: {acceptedBy: tester, acceptedAt: 2026-01-01T00:00:00Z, statement: v1}
`, name, url, KeyEnv, w.Sources, limits)
}

// WithoutConsent removes the consent from connections.yaml.
func (w *World) WithoutConsent() {
	w.T.Helper()
	text, err := os.ReadFile(w.Path("connections.yaml"))
	if err != nil {
		w.T.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "    consent:")
	if err := os.WriteFile(w.Path("connections.yaml"), []byte(before), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// Allow sets the roles that may use the connection.
func (w *World) Allow(roles string) {
	w.T.Helper()
	text, err := os.ReadFile(w.Path("connections.yaml"))
	if err != nil {
		w.T.Fatal(err)
	}
	before, after, _ := strings.Cut(string(text), "allowed: [")
	_, after, _ = strings.Cut(after, "]")
	if err := os.WriteFile(w.Path("connections.yaml"), []byte(before+"allowed: ["+roles+"]"+after), 0o600); err != nil {
		w.T.Fatal(err)
	}
}
