package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/schemas"
)

// completeTime bounds how long completion may take, since the user waits for it.
const completeTime = 1500 * time.Millisecond

// names returns the words that an argument can be completed to.
type names func(context.Context, gateway.Service) ([]cobra.Completion, error)

// completes returns a function that completes up to most arguments, or any number if most
// is 0. If the service can't be reached, it completes nothing and reports no error.
func completes(most int, find names) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeTime)
		defer cancel()
		o, done, err := (&app{dataRoot: envOr("DATA_ROOT", "data")}).service(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer done()
		found, err := find(ctx, o)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return matching(found, args, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// matching returns the words that have the prefix and are not arguments yet, each once.
func matching(found []cobra.Completion, args []string, prefix string) []cobra.Completion {
	var out []cobra.Completion
	seen := map[string]bool{}
	for _, word := range found {
		plain, _, _ := strings.Cut(word, "\t")
		if !strings.HasPrefix(plain, prefix) || slices.Contains(args, plain) || seen[plain] {
			continue
		}
		seen[plain] = true
		out = append(out, word)
	}
	return out
}

// exportNames returns the names of the applied exports.
func exportNames(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	return o.Names(ctx)
}

// runNames returns what a RUN can be: the names of the exports that have run, and the IDs
// of their runs.
func runNames(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	return runsNamed(ctx, o, false)
}

// underWay is runNames for the runs under way.
func underWay(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	return runsNamed(ctx, o, true)
}

func runsNamed(ctx context.Context, o gateway.Service, open bool) ([]cobra.Completion, error) {
	runs, err := o.Runs(ctx, gateway.RunsRequest{UnderWay: open, Brief: true})
	if err != nil {
		return nil, err
	}
	var exports, ids []cobra.Completion
	for _, v := range runs {
		state := "under way"
		if !v.FinishedAt.IsZero() {
			state = "ended " + local(v.FinishedAt)
		}
		exports = append(exports, cobra.CompletionWithDesc(v.Run.Export, "its latest run"))
		ids = append(ids, cobra.CompletionWithDesc(v.Run.RunID, console.Printable(v.Run.Export)+", "+state))
	}
	return append(exports, ids...), nil
}

// connectionNames returns the connections of the applied exports. Only the worker knows
// all of them, and asking it takes too long.
func connectionNames(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	applied, err := o.Exports(ctx)
	var found []cobra.Completion
	for _, a := range applied {
		found = append(found, a.Export.Connection)
	}
	slices.Sort(found)
	return found, err
}

// exportFiles completes the name of a file of exports.
func exportFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// setCompletions sets the completion of each command's arguments and flags.
func setCompletions(root *cobra.Command) {
	arguments := map[string]cobra.CompletionFunc{
		"run": completes(0, exportNames), "runs": completes(1, exportNames), "check": completes(1, exportNames),
		"retry": completes(1, underWay), "approve": completes(1, underWay), "abort": completes(1, underWay), "cancel": completes(1, underWay),
		"status": completes(1, runNames), "report": completes(1, runNames), "rejects": completes(1, runNames), "record": completes(1, runNames),
		"pause": completes(1, exportNames), "resume": completes(1, exportNames), "move": completes(1, exportNames), "remove": completes(1, exportNames),
		"connect": completes(1, connectionNames), "disconnect": completes(1, connectionNames),
		"apply": exportFiles,
	}
	var reasons []cobra.Completion
	for _, r := range slices.Sorted(slices.Values(schemas.Reasons())) {
		reasons = append(reasons, cobra.CompletionWithDesc(string(r), r.Sentence()))
	}
	flags := map[string]cobra.CompletionFunc{
		"connection": completes(0, connectionNames),
		"output":     cobra.FixedCompletions([]cobra.Completion{outputTable, outputJSON, outputYAML, outputName}, cobra.ShellCompDirectiveNoFileComp),
		"format":     cobra.FixedCompletions([]cobra.Completion{"table", "csv", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp),
		"reason":     cobra.FixedCompletions(reasons, cobra.ShellCompDirectiveNoFileComp),
		"file":       exportFiles,
	}
	for _, c := range append(root.Commands(), root) {
		if c.ValidArgsFunction == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		if f, ok := arguments[c.Name()]; ok {
			c.ValidArgsFunction = f
		}
		for name, f := range flags {
			if c.Flags().Lookup(name) == nil && c.PersistentFlags().Lookup(name) == nil {
				continue
			}
			if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
				panic(fmt.Sprintf("complete --%s of %s: %v", name, c.Name(), err)) // registered twice
			}
		}
	}
}

// shells are those that the completion command writes a script for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print the completion script for a shell",
		Long: `Print the completion script for a shell. It completes commands, flags, and the names of
exports and runs. The names come from Temporal or the gateway. If it does not answer in
time, nothing is completed.`,
		Example: `  source <(starter completion bash)                                  # this shell only
  starter completion bash > ~/.local/share/bash-completion/completions/starter
  starter completion zsh > "${fpath[1]}/_starter"
  starter completion fish > ~/.config/fish/completions/starter.fish
  starter completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError{fmt.Errorf("name the shell: %s", c.UseLine())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root, w := c.Root(), c.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			}
			return root.GenPowerShellCompletionWithDesc(w)
		},
	}
}
