package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// app is what every command shares.
type app struct {
	output    string
	dataRoot  string
	tokenFile string
	ui        string // where Temporal's UI is, empty where that is not known
}

// tracesTimeout is how long a command may wait at its end for its traces to be sent.
const tracesTimeout = 3 * time.Second

// service is what answers the commands: the gateway that EXPORT_API names, or else
// Temporal and the data root at hand. The returned function ends the connection.
func (a *app) service(ctx context.Context) (gateway.Service, func(), error) {
	if base := os.Getenv(apiEnv); base != "" {
		a.ui = strings.TrimSuffix(os.Getenv(uiEnv), "/")
		client, err := a.gateway(base)
		return client, func() {}, err
	}
	traces, err := observe.NewTraces(ctx, "iterable-segment-export-starter", version)
	if err != nil {
		return nil, nil, err
	}
	o := operate.DialOptions{Log: slog.New(slog.DiscardHandler)}
	if o.Interceptors, err = traces.Interceptors(); err != nil {
		return nil, nil, err
	}
	direct, end, err := a.direct(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return direct, func() {
		end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
		defer cancel()
		_ = traces.Close(ctx) // what can't be sent is lost; the run does not depend on it
	}, nil
}

// direct reaches Temporal. Whoever does that is an administrator.
func (a *app) direct(ctx context.Context, o operate.DialOptions) (gateway.Service, func(), error) {
	options, err := operate.Options(o)
	if err != nil {
		return nil, nil, err
	}
	a.ui = uiURL(options.HostPort)
	secrets, err := access.ReadSecrets(os.Getenv(access.SecretVariable), os.Getenv(access.SecretFileVariable))
	if err != nil {
		return nil, nil, err
	}
	c, err := operate.Dial(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	office := host.Direct{
		Client: c, Namespace: options.Namespace, Temporal: options.HostPort, Version: version,
		Connections: envOr("CONNECTIONS_FILE", "connections.yaml"), Root: a.openRoot, Secrets: secrets,
	}.Office()
	return office.As(administrator()), c.Close, nil
}

// who is the person at the terminal, as far as the system knows.
func who() string {
	name := "somebody"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// found calls do with the run that the command's argument names.
func (a *app) found(c *cobra.Command, name string, do func(gateway.Service, operate.Run) error) error {
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	run, err := o.Find(c.Context(), name)
	if err != nil {
		return err
	}
	return do(o, run)
}

// openRoot opens the data root, to read what a run has left there, with the keys
// of what is encrypted.
func (a *app) openRoot(ctx context.Context) (*storage.Root, error) {
	keys, err := storage.ReadKeys(os.Getenv(storage.KeysVariable), os.Getenv(storage.KeysFileVariable))
	if err != nil {
		return nil, err
	}
	root, err := storage.FindRoot(ctx, a.dataRoot)
	if err != nil {
		return nil, fmt.Errorf("open the data root: %w; say where it is with --data-root or DATA_ROOT", err)
	}
	root.Encrypt(keys, schemas.PeopleDirs...)
	return root, nil
}

func printJSON(w io.Writer, v any) error { return console.JSON(w, v) }

// exit is the exit status for a run in that state.
func exit(state string) error {
	switch state {
	case schemas.StateDone, schemas.StateRunning:
		return nil
	case schemas.StateWaiting:
		return status(exitWaiting)
	}
	return status(exitFailed)
}
