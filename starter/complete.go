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

// completeTime bounds what pressing Tab takes. Somebody waits at an empty line.
const completeTime = 1500 * time.Millisecond

// names finds words that a shell completes an argument with.
type names func(context.Context, gateway.Service) ([]cobra.Completion, error)

// completes makes a function that completes an argument with what Temporal knows.
// Up to most arguments are completed, none twice; 0 is any number. Where Temporal
// is out of reach nothing is completed, and nothing is said of it.
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

// matching are the words that begin so and are not there yet, each once.
func matching(found []cobra.Completion, args []string, begun string) []cobra.Completion {
	var out []cobra.Completion
	seen := map[string]bool{}
	for _, word := range found {
		plain, _, _ := strings.Cut(word, "\t")
		if !strings.HasPrefix(plain, begun) || slices.Contains(args, plain) || seen[plain] {
			continue
		}
		seen[plain] = true
		out = append(out, word)
	}
	return out
}

// exportNames are the exports that were applied.
func exportNames(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	return o.Names(ctx)
}

// runNames are what a RUN can be: the names of the exports that have run, and the
// ids of their runs.
func runNames(ctx context.Context, o gateway.Service) ([]cobra.Completion, error) {
	return runsNamed(ctx, o, false)
}

// underWay are the names and ids of the runs that have not ended.
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
		exports = append(exports, cobra.CompletionWithDesc(v.Run.Export, "its newest run"))
		ids = append(ids, cobra.CompletionWithDesc(v.Run.RunID, console.Printable(v.Run.Export)+", "+state))
	}
	return append(exports, ids...), nil
}

// connectionNames are the connections that applied exports name. All that there are
// only the worker knows, which takes longer to ask than somebody waits for.
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

// completions says what the shell completes the arguments and flags of each command
// with.
func completions(root *cobra.Command) {
	arguments := map[string]cobra.CompletionFunc{
		"run": completes(0, exportNames), "runs": completes(1, exportNames), "check": completes(1, exportNames),
		"watch": completes(1, underWay), "retry": completes(1, underWay), "approve": completes(1, underWay),
		"abort": completes(1, underWay), "cancel": completes(1, underWay),
		"status": completes(1, runNames), "show": completes(1, runNames), "report": completes(1, runNames), "rejects": completes(1, runNames),
		"pause": completes(1, exportNames), "resume": completes(1, exportNames), "trigger": completes(1, exportNames),
		"backfill": completes(1, exportNames), "duplicate": completes(1, exportNames), "move": completes(1, exportNames), "remove": completes(1, exportNames),
		"connect": completes(1, connectionNames), "disconnect": completes(1, connectionNames),
		"apply": exportFiles,
	}
	var reasons []cobra.Completion
	for _, r := range slices.Sorted(slices.Values(schemas.Reasons())) {
		reasons = append(reasons, cobra.CompletionWithDesc(string(r), r.Sentence()))
	}
	flags := map[string]cobra.CompletionFunc{
		"connection": completes(0, connectionNames),
		"output":     cobra.FixedCompletions([]cobra.Completion{"table", "json"}, cobra.ShellCompDirectiveNoFileComp),
		"format":     cobra.FixedCompletions([]cobra.Completion{"table", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp),
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
				panic(fmt.Sprintf("complete --%s of %s: %v", name, c.Name(), err)) // twice: a mistake in the program
			}
		}
	}
}
