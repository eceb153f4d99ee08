package host

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/activities"
	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Office returns the operations of the gateway, with the host's dependencies.
func (h *Host) Office() *gateway.Office {
	return &gateway.Office{
		Client: h.o.Client, Namespace: cmp.Or(h.o.Namespace, client.DefaultNamespace),
		Gate:    func(context.Context) (*access.Gate, error) { return h.o.Access, nil },
		Known:   func() (gateway.ConnectionSource, error) { return h.o.Connections, nil },
		Root:    func(context.Context) (*storage.Root, error) { return h.o.Root, nil },
		TryKey:  h.activities.Clients.Try,
		Inspect: h.activities.Footers, Foresee: h.activities.Foresee,
		Version: h.o.Version, Log: h.o.Log,
	}
}

// Direct has the dependencies of the gateway's operations in a program that is not a worker.
type Direct struct {
	Client              client.Client
	Namespace, Temporal string
	// Connections is connections.yaml, Root opens the data root.
	Connections string
	Root        func(context.Context) (*storage.Root, error)
	// Secrets are those of the workers.
	Secrets []string
	Version string
}

// Office opens each thing when it is asked for.
func (d Direct) Office() *gateway.Office {
	log := slog.New(slog.DiscardHandler)
	root := sync.OnceValues(func() (*storage.Root, error) { return d.Root(context.Background()) })
	connections := sync.OnceValues(func() (*config.ConnectionStore, error) { return config.OpenConnections(d.Connections, log) })
	gate := sync.OnceValues(func() (*access.Gate, error) {
		r, err := root()
		if err != nil && len(d.Secrets) == 0 {
			return nil, nil // the workers keep the records
		}
		if err != nil {
			return nil, err
		}
		return access.New(r, d.Secrets)
	})
	// steps are a worker's activities, as far as the operations need them.
	steps := sync.OnceValues(func() (*activities.Activities, error) {
		all, err := connections()
		if err != nil {
			return nil, err
		}
		a := &activities.Activities{Connections: all, Log: log, Version: d.Version}
		registry := limits.NewRegistry()
		if r, err := root(); err == nil { // programs without a data root don't share limits
			a.Root, a.Senders = r, limits.NewShare(r, registry, log)
		}
		a.Clients = &activities.Clients{Connections: all, New: newClient(Options{Log: log, Version: d.Version}, registry, a.Senders)}
		return a, nil
	})
	o := &gateway.Office{
		Client: d.Client, Namespace: d.Namespace, Version: d.Version, Temporal: d.Temporal, Log: log,
		Gate:  func(context.Context) (*access.Gate, error) { return gate() },
		Known: func() (gateway.ConnectionSource, error) { return connections() },
		Root:  func(context.Context) (*storage.Root, error) { return root() },
	}
	o.TryKey = func(ctx context.Context, c schemas.Connection) (int, int, error) {
		a, err := steps()
		if err != nil {
			return 0, 0, err
		}
		return a.Clients.Try(ctx, c)
	}
	o.Inspect = func(ctx context.Context, e schemas.Export, s schemas.Segment) (int, int64, error) {
		a, err := steps()
		if err != nil {
			return 0, 0, err
		}
		return a.Footers(ctx, e, s)
	}
	o.Foresee = func(ctx context.Context, exports []schemas.Export) []schemas.Foreseen {
		a, err := steps()
		if err != nil {
			out := make([]schemas.Foreseen, len(exports))
			for i := range out {
				out[i].Unknown = fmt.Sprintf("what a run would create or send again is not known: %v", err)
			}
			return out
		}
		out := a.Foresee(ctx, exports)
		if _, err := root(); err != nil {
			for i := range out {
				out[i].NoRecords = fmt.Sprintf("what a run would send again is not fully known: %v", err)
			}
		}
		return out
	}
	return o
}
