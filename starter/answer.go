package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// answerCommands are the commands that answer a run that waits.
func (a *app) answerCommands() []*cobra.Command {
	return []*cobra.Command{
		a.answerCommand(schemas.UpdateRetry, "Try the failed step of a waiting run again", "goes on"),
		a.answerCommand(schemas.UpdateAbort, "End a waiting run, or a segment of it, with nothing more sent", "ends"),
		a.answerCommand(schemas.UpdateApprove, "Let a run go on that asks before it does something", "goes on"),
	}
}

func (a *app) answerCommand(answer, short, effect string) *cobra.Command {
	var wait string
	c := &cobra.Command{
		Use:   answer + " RUN --wait ID",
		Short: short,
		Long: short + `.

An answer is for one wait of one segment of one run, with exactly what its message said:
--wait names it. "starter status RUN", the Temporal UI and webhooks show the whole command.
Without --wait the waits are listed and nothing is answered.`,
		Example: fmt.Sprintf("  starter %s \"High-value customers\" --wait 9b6e41c07a2d-1", answer),
		Args:    exactly(1, "one RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.found(c, args[0], func(o gateway.Service, run operate.Run) error {
				took, err := o.Answer(c.Context(), run, gateway.AnswerRequest{Answer: answer, Wait: wait})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return printJSON(c.OutOrStdout(), map[string]any{"run": run, "answer": answer, "wait": wait, "took": took})
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: «%s» %s\n", answer, took, effect)
				return nil
			})
		},
	}
	c.Flags().StringVar(&wait, "wait", "", "the wait that is answered")
	return c
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run, whatever it is doing",
		Long: `Stop a run, whatever it is doing. Requests in flight are waited for, and what
was staged is deleted; what was sent stays sent, and the next run takes it into
account.`,
		Example: `  starter cancel "High-value customers"`,
		Args:    exactly(1, "one RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.found(c, args[0], func(o gateway.Service, run operate.Run) error {
				if err := o.Cancel(c.Context(), run); err != nil {
					return err
				}
				if a.output == "json" {
					return printJSON(c.OutOrStdout(), map[string]any{"run": run, "cancel": "asked for"})
				}
				fmt.Fprintf(c.OutOrStdout(), "Asked the run of «%s» to stop. See it with: starter status %s\n", run.Export, schemas.ShellWord(run.Export))
				return nil
			})
		},
	}
}
