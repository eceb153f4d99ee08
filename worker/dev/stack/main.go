// Command stack is the worker in one process with Temporal on SQLite, Temporal's UI and the
// Iterable sandbox. It is for trying the program out and for developing it, never for real data.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iterable-segment-export/internal/console"
)

// version is set by the linker in releases.
var version = "dev"

// errIncomplete means that not every run was completed, which was already printed.
var errIncomplete = errors.New("not every run was completed")

// usageError is a mistake in the command line.
type usageError struct{ error }

// noArguments accepts flags only.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s knows no %q; %[1]s --help lists what it knows", c.CommandPath(), args[0])}
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root, errOut := newRoot(), console.NewFilter(os.Stderr)
	root.SetOut(console.NewFilter(os.Stdout))
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	stop()
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, errIncomplete):
		os.Exit(1)
	case errors.As(err, new(usageError)):
		fmt.Fprintln(errOut, "dev:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(errOut, "dev:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run the exports of examples/ against an embedded Temporal and an Iterable sandbox",
		Long: `Run every export of a file once, against a Temporal and an Iterable sandbox that
live in this process, print what became of them, and serve until Ctrl-C.`,
		Example: `  go run ./worker/dev
  go run ./worker/dev --exit
  go run ./worker/dev --data .data --exports my/exports.yaml --connections my/connections.yaml`,
		Args:          noArguments,
		Version:       version,
		SilenceErrors: true,
		// It is not on the path: it is run from the source.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		SilenceUsage:      true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.exports = exportsOf(c.Flags())
			return serve(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.exit, "exit", false, "end after the runs, with status 0 only if all were completed")
	f.StringVar(&o.data, "data", "", "folder that keeps Temporal's, the sandbox's and the exports' state across restarts; default a temporary one, removed at the end")
	f.String("exports", "examples/exports.yaml", "exports to run; empty for none, which is the default with --connections")
	f.StringVar(&o.connections, "connections", "examples/connections.yaml", "connections to run them over")
	f.IntVar(&o.temporalPort, "temporal-port", usualTemporal, "port of Temporal")
	f.IntVar(&o.uiPort, "ui-port", usualUI, "port of Temporal's UI")
	f.IntVar(&o.sandboxPort, "sandbox-port", usualSandbox, "port of the Iterable sandbox")
	sandboxFlags(f, &o.sandbox)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())}
	})
	c.AddCommand(generateCommand(), sandboxCommand())
	return c
}

// exportsOf returns the file of the exports to run: the examples only over their own connections.
func exportsOf(f *pflag.FlagSet) string {
	if f.Changed("connections") && !f.Changed("exports") {
		return ""
	}
	return f.Lookup("exports").Value.String()
}
