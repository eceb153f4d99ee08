// Command worker hosts the workflows and activities. Start as many as the work
// needs, against the same Temporal and the same data root.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/logging"
	"iterable-segment-export/internal/operate"
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
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// arguments answers the few flags there are, and gives the exit status.
func arguments(args []string) int {
	switch args[0] {
	case "-h", "--help", "help":
		if err := usage(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			return 1
		}
		return 0
	case "--healthcheck":
		return healthcheck()
	case "--version", "version":
		fmt.Println("worker", version)
		return 0
	}
	fmt.Fprintf(os.Stderr, "worker: there is no argument %q; worker --help lists the environment variables that configure it\n", args[0])
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
	root, err := storage.OpenRoot(ctx, s.DataRoot)
	if err != nil {
		return fmt.Errorf("open DATA_ROOT: %w", err)
	}
	defer root.Close()
	temporal, err := operate.Dial(ctx, operate.DialOptions{Log: log, Patience: s.DialTimeout})
	if err != nil {
		return err
	}
	defer temporal.Close()
	if s.HealthAddr != "" {
		stop, err := serveHealth(s.HealthAddr, temporal)
		if err != nil {
			return err
		}
		defer stop()
	}
	h, err := host.Start(ctx, host.Options{
		Client: temporal, Connections: connections, Root: root, Log: log,
		StagingSlots: s.StagingSlots, UploadSlots: s.UploadSlots, StopTimeout: s.StopTimeout,
		TempDir: s.TempDir, MemoryPeople: s.DiffMemoryPeople, Version: version,
	})
	if err != nil {
		return err
	}
	log.Info("the worker is ready", "version", version, "connections", len(connections.Names()), "dataRoot", root.URL())
	<-ctx.Done()
	log.Info("the worker stops")
	h.Stop()
	return nil
}
