package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
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

// operator connects to Temporal. The returned function closes the connection.
func (a *app) operator(ctx context.Context) (*operate.Operator, func(), error) {
	traces, err := observe.NewTraces(ctx, "iterable-segment-export-starter", version)
	if err != nil {
		return nil, nil, err
	}
	o := operate.DialOptions{Log: slog.New(slog.DiscardHandler)}
	if o.Interceptors, err = traces.Interceptors(); err != nil {
		return nil, nil, err
	}
	options, err := operate.Options(o)
	if err != nil {
		return nil, nil, err
	}
	a.ui = uiURL(options.HostPort)
	c, err := operate.Dial(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	end := func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
		defer cancel()
		_ = traces.Close(ctx) // what can't be sent is lost; the run does not depend on it
	}
	return &operate.Operator{Client: c, Namespace: options.Namespace, Who: who(), Identity: operate.IdentityFromEnv(a.tokenFile)}, end, nil
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
func (a *app) found(c *cobra.Command, name string, do func(*operate.Operator, operate.Run) error) error {
	o, done, err := a.operator(c.Context())
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
	root.Encrypt(keys)
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
