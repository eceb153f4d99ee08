// Command worker runs the workflows and activities. Start as many as the work needs, with
// the same Temporal and the same data root.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/logging"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/storage"
)

// version is set by the linker in releases.
var version = "dev"

func main() {
	if len(os.Args) > 1 {
		os.Exit(arguments(os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(console.NewFilter(os.Stderr), "worker:", err)
		os.Exit(1)
	}
}

// arguments handles the flags, and returns the exit status.
func arguments(args []string) int {
	switch args[0] {
	case "-h", "--help", "help":
		if err := usage(os.Stdout); err != nil {
			fmt.Fprintln(console.NewFilter(os.Stderr), "worker:", err)
			return 1
		}
		return 0
	case "--healthcheck":
		return healthcheck()
	case "--new-data-key":
		key, err := storage.NewKey()
		if err != nil {
			fmt.Fprintln(console.NewFilter(os.Stderr), "worker:", err)
			return 1
		}
		fmt.Println(key)
		return 0
	case "--restored":
		if err := declareRestore(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(console.NewFilter(os.Stderr), "worker:", err)
			return 1
		}
		return 0
	case "--version", "version":
		fmt.Println("worker", version)
		return 0
	}
	fmt.Fprintf(os.Stderr, "worker: unknown argument %q; worker --help lists the environment variables that configure it\n", args[0])
	return 2
}

func run(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	log, err := logging.New(os.Stderr, s.LogLevel, s.LogFormat)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	connections, err := config.OpenConnections(s.Connections, log)
	if err != nil {
		return err
	}
	root, err := s.dataRoot(ctx)
	if err != nil {
		return err
	}
	defer root.Close()
	gate, err := s.gate(root, log)
	if err != nil {
		return err
	}
	metrics, err := observe.NewMetrics()
	if err != nil {
		return err
	}
	traces, err := observe.NewTraces(ctx, "iterable-segment-export-worker", version)
	if err != nil {
		return err
	}
	defer closeTraces(traces, log)
	health, err := serveHealth(s.HealthAddr, metrics.Handler())
	if err != nil {
		return err
	}
	defer health.stop()
	interceptors, err := traces.Interceptors()
	if err != nil {
		return err
	}
	where, err := dial.ClientOptions(dial.Options{})
	if err != nil {
		return err
	}
	temporal, err := dial.Temporal(ctx, dial.Options{
		Log: log, Patience: s.DialTimeout, Metrics: metrics.Temporal(), Interceptors: interceptors,
	})
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := dial.AwaitNamespace(ctx, temporal, where.Namespace, s.DialTimeout, log); err != nil {
		return err
	}
	h, err := host.Start(ctx, host.Options{
		Client: temporal, Connections: connections, Access: gate, Root: root, Log: log,
		StagingSlots: s.StagingSlots, UploadSlots: s.UploadSlots, StopTimeout: s.StopTimeout,
		TempDir: s.TempDir, Version: version,
		Notify:  notify.Options{Secret: s.NotifySecret, Allowed: s.NotifyAllowed},
		Metrics: metrics, Tracer: traces.Provider(),
		Namespace: where.Namespace, Deployment: s.Deployment, BuildID: s.BuildID,
	})
	if err != nil {
		return err
	}
	office := h.Office()
	office.Temporal = where.HostPort
	stopAPI, err := s.serve(office, gate, log)
	if err != nil {
		h.Stop()
		return err
	}
	health.ready(&running{temporal, h.Failed})
	log.Info("worker ready", "version", version, "connections", len(connections.Names()), "dataRoot", root.URL())
	<-ctx.Done()
	log.Info("worker stopping")
	health.ready(nil)
	stopAPI()
	h.Stop()
	return nil
}

// closeTraces sends the remaining spans.
func closeTraces(t *observe.Traces, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		log.Warn("last traces not sent", "error", err)
	}
}

// dataRoot opens the data root with its keys, and checks that it can be used. A cloud may take a
// while to issue credentials.
func (s settings) dataRoot(ctx context.Context) (*storage.Root, error) {
	keys, err := storage.ReadKeys(s.DataKeys, s.DataKeysFile)
	if err != nil {
		return nil, err
	}
	root, err := storage.OpenRoot(ctx, s.DataRoot)
	if err != nil {
		return nil, fmt.Errorf("open DATA_ROOT: %w", err)
	}
	root.Encrypt(keys, dataroot.PeopleDirs...)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := root.Reach(ctx); err != nil {
		root.Close()
		return nil, fmt.Errorf("DATA_ROOT: %w", err)
	}
	return root, nil
}
