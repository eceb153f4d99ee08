package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// answerCommand makes one of the commands that answer a run that waits.
func (a *app) answerCommand(answer, short, effect string) *cobra.Command {
	var wait string
	var yes bool
	more := ""
	if answer == schemas.UpdateApprove {
		more = " It shows\nwhat is approved and, on a terminal, asks."
	}
	c := a.onRun(&cobra.Command{
		Use:   answer + " RUN --wait ID",
		Short: short,
		Long: short + `.

An answer is for one wait, which --wait names. The message of the wait says what is
decided. The whole command is shown by "starter status RUN", in the Temporal UI and in webhooks.
Without --wait the command lists the waits and answers none.` + more,
		Example: fmt.Sprintf("  starter %s \"High-value customers\" --wait 9b6e41c07a2d-1", answer),
	}, func(c *cobra.Command, o gateway.Service, run operate.Run) error {
		if answer == schemas.UpdateApprove {
			if err := confirmApproval(c, o, run, wait, yes); err != nil {
				return err
			}
		}
		name, err := o.Answer(c.Context(), run, gateway.AnswerRequest{Answer: answer, Wait: wait})
		if err != nil {
			return err
		}
		return a.print(c, answerOutput{run, answer, wait, name}, "%s: %q %s", answer, name, effect)
	})
	c.Flags().StringVar(&wait, "wait", "", "ID of the wait")
	if answer == schemas.UpdateApprove {
		c.Flags().BoolVar(&yes, "yes", false, "approve without asking")
	}
	return c
}

// confirmApproval shows what is approved and, on a terminal, asks. A wait that the run does
// not have is left to the answer itself to refuse.
func confirmApproval(c *cobra.Command, o gateway.Service, run operate.Run, wait string, yes bool) error {
	v, err := o.Look(c.Context(), run)
	if err != nil {
		return err
	}
	for _, w := range v.Waits() {
		if w.ID != wait || !slices.Contains(w.Answers, schemas.UpdateApprove) {
			continue
		}
		fmt.Fprintf(c.ErrOrStderr(), "%q waits at %s: %s\n", cmp.Or(w.Segment, run.Export), w.Step, w.Message)
		if !yes && console.FromTerminal(c.InOrStdin()) {
			return confirm(c, "--yes", "Approve this?")
		}
	}
	return nil
}

func (a *app) cancelCommand() *cobra.Command {
	return a.onRun(&cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run, whatever it is doing",
		Long: `Stop a run, whatever it is doing. It waits for requests in flight and deletes what it
has staged. What was sent stays sent, and the next run takes it into account.`,
		Example: `  starter cancel "High-value customers"`,
	}, func(c *cobra.Command, o gateway.Service, run operate.Run) error {
		if err := o.Cancel(c.Context(), run); err != nil {
			return err
		}
		return a.print(c, cancelOutput{run, "requested"},
			"Asked the run of %q to stop. Follow it with: starter status %s", run.Export, schemas.ShellWord(run.Export))
	})
}
