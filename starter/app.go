package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// app is what the commands share.
type app struct {
	output    string
	dataRoot  string
	tokenFile string
	// temporal are the flags that override the environment's way to Temporal.
	temporal dial.Options
	ui       string // the URL of Temporal's UI, empty if it is not known
}

// tracesTimeout bounds how long a command waits at its end for its traces to be sent.
const tracesTimeout = 3 * time.Second

// service returns the gateway that EXPORT_API names or, without one, a service on Temporal
// and the data root. The returned function ends the connection.
func (a *app) service(ctx context.Context) (gateway.Service, func(), error) {
	if base := os.Getenv(apiEnv); base != "" {
		if t := a.temporal; t.Address+t.Namespace+t.Profile+t.ConfigFile != "" {
			return nil, nil, usageError{fmt.Errorf("--address, --namespace, --profile and --config-file are for Temporal, and %s names a gateway; unset it to connect to Temporal", apiEnv)}
		}
		a.ui = strings.TrimSuffix(os.Getenv(uiEnv), "/")
		client, err := a.gateway(base)
		return client, func() {}, err
	}
	traces, err := observe.NewTraces(ctx, "iterable-segment-export-starter", version)
	if err != nil {
		return nil, nil, err
	}
	o := a.temporal
	o.Log = slog.New(slog.DiscardHandler)
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
		_ = traces.Close(ctx) // losing traces does not affect the run
	}, nil
}

// direct connects to Temporal. Whoever can do that is an administrator.
func (a *app) direct(ctx context.Context, o dial.Options) (gateway.Service, func(), error) {
	options, err := dial.ClientOptions(o)
	if err != nil {
		return nil, nil, err
	}
	a.ui = uiURL(options.HostPort)
	secrets, err := access.ReadSecrets(os.Getenv(access.SecretVariable), os.Getenv(access.SecretFileVariable))
	if err != nil {
		return nil, nil, err
	}
	c, err := dial.Temporal(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	office := host.Direct{
		Client: c, Namespace: options.Namespace, Temporal: options.HostPort, Version: version,
		Connections: envOr("CONNECTIONS_FILE", "connections.yaml"), Root: a.openRoot, Secrets: secrets,
	}.Office()
	return office.As(schemas.Person{Name: who(), Role: schemas.RoleAdministrator}), c.Close, nil
}

// who returns the user and the host, as far as the operating system knows them.
func who() string {
	name := "unknown user"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// openRoot opens the data root with the keys of the environment. Trials and the audit trail write
// to it.
func (a *app) openRoot(ctx context.Context) (*storage.Root, error) {
	keys, err := storage.ReadKeys(os.Getenv(storage.KeysVariable), os.Getenv(storage.KeysFileVariable))
	if err != nil {
		return nil, err
	}
	root, err := storage.FindRoot(ctx, a.dataRoot)
	if err != nil {
		return nil, fmt.Errorf("open the data root: %w; set it with --data-root or DATA_ROOT", err)
	}
	root.Encrypt(keys, dataroot.PeopleDirs...)
	return root, nil
}

// serviceCommand makes c call do with the service.
func (a *app) serviceCommand(c *cobra.Command, do func(c *cobra.Command, o gateway.Service, args []string) error) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		o, done, err := a.service(c.Context())
		if err != nil {
			return err
		}
		defer done()
		return do(c, o, args)
	}
	return c
}

// onRun makes c call do with the run that its argument names.
func (a *app) onRun(c *cobra.Command, do func(*cobra.Command, gateway.Service, operate.Run) error) *cobra.Command {
	c.Args = exactly(1, "one RUN")
	return a.serviceCommand(c, func(c *cobra.Command, o gateway.Service, args []string) error {
		run, err := o.Find(c.Context(), args[0])
		if err != nil {
			return err
		}
		return do(c, o, run)
	})
}

// print writes v as JSON or YAML if that was asked for, and the text otherwise.
func (a *app) print(c *cobra.Command, v any, format string, args ...any) error {
	if a.structured() {
		return a.encode(c.OutOrStdout(), v)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), format+"\n", args...)
	return err
}

// confirm asks a question and returns an error unless the reply is yes. flag is the one
// that skips the question.
func confirm(c *cobra.Command, flag, question string, args ...any) error {
	fmt.Fprintf(c.ErrOrStderr(), question+" Type yes: ", args...)
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(line), "yes") {
		fmt.Fprintln(c.ErrOrStderr())
		return fmt.Errorf("not confirmed, so nothing was changed; type yes, or use %s", flag)
	}
	return nil
}

// exit returns the exit status for runs: that one failed counts more than that one waits,
// and that more than that one has skipped a segment.
func exit(views ...operate.View) error {
	has := map[status]bool{}
	for _, v := range views {
		switch v.State {
		case schemas.StateDone, schemas.StateRunning, schemas.StateAwaitingData, schemas.StateSkipped:
		case schemas.StateWaiting:
			has[exitWaiting] = true
		default:
			has[exitFailed] = true
		}
		for _, s := range v.Segments {
			has[exitSkipped] = has[exitSkipped] || s.State == schemas.StateSkipped
		}
	}
	for _, s := range []status{exitFailed, exitWaiting, exitSkipped} {
		if has[s] {
			return s
		}
	}
	return nil
}
