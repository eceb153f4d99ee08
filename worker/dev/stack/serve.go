package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

type serveOptions struct {
	exit                              bool
	data, exports, connections        string
	temporalPort, uiPort, sandboxPort int
	sandbox                           sandboxOptions
}

const (
	// sandboxKeyEnv has the sandbox's key, as examples/connections.yaml says.
	sandboxKeyEnv = "ITERABLE_SANDBOX_KEY"
	// usualSandbox is the sandbox's port in files of connections.
	usualSandbox = 8234
	// usualTemporal and usualUI are the ports that starter expects.
	usualTemporal, usualUI = 7233, 8233

	namespace = "default"
	lookEvery = 250 * time.Millisecond
)

// serve starts everything, runs the exports, and blocks until ctx ends.
func serve(ctx context.Context, o serveOptions, out, errOut io.Writer) error {
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	exports, err := loadExports(o)
	if err != nil {
		return err
	}
	dir, temporary, err := dataDir(o.data)
	if err != nil {
		return err
	}
	if temporary {
		defer os.RemoveAll(dir)
	}
	all, err := start(ctx, o, dir, log)
	if err != nil {
		return err
	}
	defer all.stop()
	fmt.Fprintf(out, "Temporal   %s\nUI         %s\nSandbox    %s, API key %s\nData root  %s\n\n",
		all.stack.FrontendAddr(), all.stack.UIURL(), all.sandboxURL, sandbox.DefaultKey, all.root.URL())
	views, err := all.runExports(ctx, exports, o.exit, errOut)
	if err != nil {
		return err
	}
	all.report(out, views, !temporary || !o.exit)
	if o.exit {
		if !completed(views) {
			return errIncomplete
		}
		return nil
	}
	fmt.Fprintln(out, "\nIn another terminal, for starter:", all.exports(o))
	fmt.Fprintln(out, "Serving until Ctrl-C.")
	<-ctx.Done()
	return nil
}

func loadExports(o serveOptions) (*schemas.Exports, error) {
	if o.exports == "" {
		return &schemas.Exports{}, nil
	}
	exports, err := config.LoadExports(o.exports)
	if err != nil {
		return nil, fmt.Errorf("--exports: %w", err)
	}
	return exports, nil
}

// dataDir creates the folder for all data.
func dataDir(wanted string) (dir string, temporary bool, err error) {
	if wanted == "" {
		dir, err = os.MkdirTemp("", "iterable-segment-export-")
		return dir, true, err
	}
	if dir, err = filepath.Abs(wanted); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", false, fmt.Errorf("--data %s: %w", wanted, err)
	}
	return dir, false, nil
}

// everything is what one process of this command runs.
type everything struct {
	root       *storage.Root
	stack      *devstack.Stack
	sandboxURL string
	client     client.Client
	host       *host.Host
	operator   *operate.Session
	stops      []func()
}

func (e *everything) stop() {
	for i := len(e.stops) - 1; i >= 0; i-- {
		e.stops[i]()
	}
}

// start starts the sandbox, Temporal, its UI and a worker.
func start(ctx context.Context, o serveOptions, dir string, log *slog.Logger) (e *everything, err error) {
	e = &everything{operator: &operate.Session{Namespace: namespace, Who: schemas.Person{Name: "dev", Role: schemas.RoleAdministrator}}}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	if os.Getenv(sandboxKeyEnv) == "" {
		os.Setenv(sandboxKeyEnv, sandbox.DefaultKey)
	}
	if err = e.startSandbox(ctx, o, dir, log); err != nil {
		return e, err
	}
	if err = e.startTemporal(ctx, o, dir, log); err != nil {
		return e, err
	}
	return e, e.startWorker(ctx, o, dir, log)
}

func (e *everything) startSandbox(ctx context.Context, o serveOptions, dir string, log *slog.Logger) error {
	settings := o.sandbox.config()
	if o.data != "" {
		settings.DataDir = filepath.Join(dir, "sandbox")
	}
	listener, err := net.Listen("tcp", local(o.sandboxPort))
	if err != nil {
		return fmt.Errorf("the port of the sandbox is taken: %w; choose another one with --sandbox-port", err)
	}
	s, err := sandbox.Open(settings)
	if err != nil {
		listener.Close()
		return fmt.Errorf("--data: %w", err)
	}
	e.sandboxURL = "http://" + listener.Addr().String()
	os.Setenv(config.SandboxPort, strconv.Itoa(o.sandboxPort)) // for the file of connections
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := errors.Join(s.Serve(ctx, listener), s.Close()); err != nil {
			log.Error("sandbox ended", "error", err)
		}
	}()
	e.stops = append(e.stops, func() { cancel(); <-done })
	return nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (e *everything) startTemporal(ctx context.Context, o serveOptions, dir string, log *slog.Logger) (err error) {
	temporalDir := ""
	if o.data != "" {
		temporalDir = filepath.Join(dir, "temporal")
	}
	e.stack, err = devstack.Start(ctx, devstack.Options{
		DataDir: temporalDir, FrontendAddr: local(o.temporalPort), UIAddr: local(o.uiPort), Namespace: namespace, Logger: log,
	})
	var port *devstack.PortError
	if errors.As(err, &port) {
		flag := "--temporal-port"
		if port.Addr == local(o.uiPort) {
			flag = "--ui-port"
		}
		return fmt.Errorf("%w; choose another one with %s", err, flag)
	}
	if err != nil {
		return fmt.Errorf("start Temporal: %w", err)
	}
	e.stops = append(e.stops, func() { _ = e.stack.Stop() })
	e.client, err = client.DialContext(ctx, client.Options{
		HostPort: e.stack.FrontendAddr(), Namespace: namespace, Logger: sdklog.NewStructuredLogger(log),
	})
	if err != nil {
		return fmt.Errorf("reach the embedded Temporal: %w", err)
	}
	e.operator.Client = e.client
	e.stops = append(e.stops, e.client.Close)
	return nil
}

func (e *everything) startWorker(ctx context.Context, o serveOptions, dir string, log *slog.Logger) error {
	store, err := config.OpenConnections(o.connections, log)
	if err != nil {
		return fmt.Errorf("--connections: %w", err)
	}
	if e.root, err = storage.OpenRoot(ctx, filepath.Join(dir, "data")); err != nil {
		return err
	}
	e.stops = append(e.stops, func() { _ = e.root.Close() })
	e.host, err = host.Start(ctx, host.Options{
		Client: e.client, Connections: store, Root: e.root, Log: log,
		StagingSlots: 2, UploadSlots: 8, StopTimeout: 10 * time.Second, Version: version,
	})
	if err != nil {
		return err
	}
	e.stops = append(e.stops, e.host.Stop)
	return nil
}

// runExports runs the exports concurrently and shows their progress.
func (e *everything) runExports(ctx context.Context, exports *schemas.Exports, stopAtWait bool, errOut io.Writer) ([]operate.View, error) {
	progress := console.NewProgress(errOut)
	defer progress.Close()
	views := make([]operate.View, len(exports.Exports))
	errs := make([]error, len(exports.Exports))
	var all sync.WaitGroup
	for i, export := range exports.Exports {
		all.Go(func() {
			run, _, err := e.operator.Start(ctx, export, false)
			if err == nil {
				views[i], err = e.operator.Watch(ctx, run, lookEvery, true, progress.See)
			}
			errs[i] = err
		})
	}
	all.Wait()
	return views, errors.Join(errs...)
}

// report prints the results of the runs and, if data is kept, where to find it.
func (e *everything) report(out io.Writer, views []operate.View, kept bool) {
	if len(views) == 0 {
		return
	}
	console.Summary(out, views)
	fmt.Fprintln(out)
	if !kept {
		fmt.Fprintln(out, "Nothing of this is kept; with --data DIR the reports and the rejected rows are.")
	}
	for _, v := range views {
		if !kept {
			console.Waits(out, "starter", v)
			continue
		}
		fmt.Fprintf(out, "%s: %s/namespaces/%s/workflows/%s/%s/history\n", v.Run.Export, e.stack.UIURL(), namespace, url.PathEscape(v.Run.WorkflowID), v.Run.RunID)
		if v.Error != "" {
			fmt.Fprintf(out, "  %s: %s\n", v.State, v.Error)
		}
		if v.Report != "" {
			fmt.Fprintf(out, "  report: %s\n", path.Join(localPath(e.root.URL()), v.Report))
		}
		for _, s := range v.Segments {
			if s.Report.Rejects != "" {
				fmt.Fprintf(out, "  rejects of %q: %s\n", s.Run.Segment, path.Join(localPath(e.root.URL()), s.Report.Rejects))
			}
		}
		console.Waits(out, "starter", v)
	}
}

// localPath returns the folder of a file URL.
func localPath(u string) string {
	if parsed, err := url.Parse(u); err == nil && parsed.Scheme == "file" {
		return parsed.Path
	}
	return u
}

// exports returns the command that sets the starter's variables as this process has them.
func (e *everything) exports(o serveOptions) string {
	connections, err := filepath.Abs(o.connections)
	if err != nil {
		connections = o.connections
	}
	key := ""
	if os.Getenv(sandboxKeyEnv) == sandbox.DefaultKey { // and no secret of the user's
		key = " " + sandboxKeyEnv + "=" + sandbox.DefaultKey
	}
	port := ""
	if o.sandboxPort != usualSandbox {
		port = fmt.Sprintf(" %s=%d", config.SandboxPort, o.sandboxPort)
	}
	return fmt.Sprintf("export TEMPORAL_ADDRESS=%s%s CONNECTIONS_FILE=%s%s%s DATA_ROOT=%s", e.stack.FrontendAddr(), o.ui(e.stack.UIURL()),
		schemas.ShellWord(connections), key, port, schemas.ShellWord(localPath(e.root.URL())))
}

// ui returns the starter's variable with the UI's URL, unless the starter knows the URL by
// Temporal's address.
func (o serveOptions) ui(url string) string {
	if o.temporalPort == usualTemporal && o.uiPort == usualUI {
		return ""
	}
	return " EXPORT_UI_URL=" + url
}

func completed(views []operate.View) bool {
	for _, v := range views {
		if v.State != schemas.StateDone {
			return false
		}
	}
	return true
}
