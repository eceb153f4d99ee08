// Command starter is the operators' command line: it starts runs, shows how they stand,
// answers those that wait, and shows reports and rejects.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/schemas"
)

// version is set by the linker in releases.
var version = "dev"

// Exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitWaiting = 3
)

// status is an error that is already told, or has nothing to tell but an exit
// status.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is a mistake in the command line.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and gives its exit status.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	out, errOut = console.NewFilter(out), console.NewFilter(errOut)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var s status
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &s):
		return int(s)
	case errors.As(err, &usage), access.IsRefused(err, schemas.ErrorBadRequest):
		fmt.Fprintln(errOut, "starter:", err)
		return exitUsage
	}
	fmt.Fprintln(errOut, "starter:", err)
	return exitFailed
}

// newRoot builds the command tree.
func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "starter",
		Short: "Start, follow and look after exports of segments to Iterable",
		Long: `Start, follow and look after exports of segments to Iterable.

A RUN is the name of an export, for its latest run, or a run id.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 waiting for an operator.
EXPORT_API is the URL of the gateway; see starter login. Without it, Temporal is reached
as the temporal CLI reaches it (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY
and the rest, or a profile), and connections.yaml, the data root and the keys as the
worker finds them (CONNECTIONS_FILE, DATA_ROOT, WORKER_SECRET).`,
		Example: `  starter run "Spring campaign"      # start a run, and follow it
  starter status "Spring campaign"   # how its newest run stands
  starter doctor                     # is everything there that runs need?
  starter help run                   # more on a command, with examples`,
		Version:           version,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // completionCommand has examples
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{noCommand(c, args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "table", "output: table or json")
	f.StringVar(&a.dataRoot, "data-root", envOr("DATA_ROOT", "data"), "the deployment's data root, a folder or URL, where there is no gateway (DATA_ROOT)")
	f.StringVar(&a.tokenFile, "token-file", "", "file with a token that says who you are, for the gateway; default EXPORT_TOKEN, EXPORT_TOKEN_FILE or that of starter login")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.output != "table" && a.output != "json" {
			return usageError{fmt.Errorf("--output %q: use table or json", a.output)}
		}
		return nil
	}
	root.AddCommand(a.runCommand(), a.checkCommand(), a.statusCommand(), a.rejectsCommand(), a.reportCommand(), a.cancelCommand(), a.setupCommand())
	root.AddCommand(a.answerCommands()...)
	root.AddCommand(a.applyCommand(), a.exportsCommand(), a.runsCommand(), a.showCommand(), a.watchCommand())
	root.AddCommand(a.pauseCommand(), a.resumeCommand(), a.triggerCommand(), a.backfillCommand(), a.duplicateCommand(), a.moveCommand(), a.removeCommand())
	root.AddCommand(a.connectionsCommand(), a.connectCommand(), a.disconnectCommand(), a.loginCommand(), a.whoamiCommand())
	root.AddCommand(a.doctorCommand(), completionCommand())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	completions(root)
	return root
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// exactly wants n arguments, of the meaning that what tells.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s; got %d arguments", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}

// atMostOne wants no argument, or one of the meaning that what tells.
func atMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("%s takes one %s at most; got %d arguments (a name with spaces needs quotes)", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}
