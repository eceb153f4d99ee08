// Command starter is the command line for operators: it applies exports, starts runs, shows
// their state, answers those that wait, and shows reports and rejects.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
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
	exitChanges = 4 // apply --plan --detailed-exitcode
	exitSkipped = 5
)

// status is an error that was already reported, or that is nothing but an exit status.
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

// execute runs one command line and returns its exit status.
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
		Short: "Export segments to lists in Iterable",
		Long: `Export segments to lists in Iterable.

A RUN is the name of an export, for its latest run, or a run ID.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 waiting for an operator, 5 skipped.
EXPORT_API is the URL of the gateway; see starter login. Without it, the starter connects to
Temporal like the temporal CLI (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY and so
on, or a profile), and finds connections.yaml, the data root and the keys like the worker
(CONNECTIONS_FILE, DATA_ROOT, WORKER_SECRET).`,
		Example: `  starter run "Spring campaign"      # start a run and follow it
  starter status "Spring campaign"   # show its latest run
  starter doctor                     # check the deployment
  starter help run                   # explain a command, with examples`,
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
	f.StringVarP(&a.output, "output", "o", "table", "output: table, json or yaml; name, for lists")
	f.StringVar(&a.dataRoot, "data-root", envOr("DATA_ROOT", "data"), "folder or URL of the workers' data root, if there is no gateway (DATA_ROOT)")
	f.StringVar(&a.temporal.Address, "address", "", "host:port of Temporal, if there is no gateway (TEMPORAL_ADDRESS)")
	f.StringVarP(&a.temporal.Namespace, "namespace", "n", "", "namespace in Temporal (TEMPORAL_NAMESPACE)")
	f.StringVar(&a.temporal.Profile, "profile", "", "profile of Temporal's configuration file (TEMPORAL_PROFILE)")
	f.StringVar(&a.temporal.ConfigFile, "config-file", "", "Temporal's configuration file (TEMPORAL_CONFIG_FILE)")
	f.StringVar(&a.tokenFile, "token-file", "", "file with your token for the gateway; default EXPORT_TOKEN, EXPORT_TOKEN_FILE or that of starter login")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		return a.checkOutput(c)
	}
	root.AddCommand(
		a.runCommand(), a.checkCommand(), a.statusCommand(), a.runsCommand(), a.rejectsCommand(), a.recordCommand(), a.findCommand(), a.auditCommand(), a.reportCommand(), a.cancelCommand(),
		a.answerCommand(schemas.UpdateRetry, "Try the failed step of a waiting run again", "goes on"),
		a.answerCommand(schemas.UpdateAbort, "End a waiting run, or a segment of it, without sending more", "ends"),
		a.answerCommand(schemas.UpdateApprove, "Let a run that asked for approval go on", "goes on"),
		a.applyCommand(), a.exportsCommand(), a.pauseCommand(), a.resumeCommand(), a.moveCommand(), a.removeCommand(),
		a.connectionsCommand(), a.connectCommand(), a.disconnectCommand(), a.loginCommand(), a.whoamiCommand(),
		a.doctorCommand(), completionCommand(),
	)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	setCompletions(root)
	return root
}

// helpCommand is starter help, which fails for an unknown command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command, with examples",
		Example: "  starter help\n  starter help run",
		Args:    atMostOne("COMMAND"),
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var all []cobra.Completion
			for _, sub := range c.Root().Commands() {
				if len(args) == 0 && sub.IsAvailableCommand() {
					all = append(all, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return matching(all, args, begun), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{noCommand(c.Root(), args[0])}
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// noCommand returns the error for an unknown command, with similar ones.
func noCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s? starter --help lists the commands", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q; starter --help lists the commands", name)
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// exactly requires n arguments, which what describes.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s; got %d arguments", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}

// atMostOne allows one argument, which what describes.
func atMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("%s takes at most one %s; got %d arguments (a name with spaces needs quotes)", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}
