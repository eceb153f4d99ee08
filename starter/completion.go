package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that completion writes a script for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Write the script that has a shell complete commands, exports and runs",
		Long: `Write the script that has a shell complete commands, flags, and the names of exports
and runs. The names come from Temporal, reached as every command reaches it; where it
does not answer, or not soon enough, nothing is completed.`,
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

// helpCommand is "starter help", which ends with an error where it knows no answer.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does, with examples",
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

// noCommand says that there is no such command, and which come near.
func noCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("there is no command %q; did you mean %s? starter --help lists them", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("there is no command %q; starter --help lists them", name)
}
