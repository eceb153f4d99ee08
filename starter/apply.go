package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

type applyFlags struct {
	yes, prune, renew, plan bool
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Make the exports and schedules be as a file says",
		Long: `Make the exports and schedules be as a file says; FILE is exports.yaml unless
another one is named. The command shows what it would create, change and remove, and
asks. Nothing runs because of it: exports run when their schedules say so, or when
somebody starts them. Exports that are not in the file stay, unless --prune removes
them, with all that is kept of them in the data root; their lists in Iterable stay.`,
		Example: `  starter apply
  starter apply exports.yaml --plan
  starter apply exports.yaml --prune --yes`,
		Args: atMostOne("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			file := "exports.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			return a.apply(c, file, f)
		},
	}
	p := c.Flags()
	p.BoolVar(&f.yes, "yes", false, "apply without asking")
	p.BoolVar(&f.plan, "plan", false, "show what would be done, and do nothing")
	p.BoolVar(&f.prune, "prune", false, "remove exports that are not in the file")
	p.BoolVar(&f.renew, "renew", false, "have every export granted anew, such as after a change of the worker's secret")
	return c
}

func (a *app) apply(c *cobra.Command, path string, f applyFlags) error {
	file, err := config.LoadExports(path)
	if err != nil {
		return err
	}
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	request := gateway.PlanRequest{File: *file, Prune: f.prune, Renew: f.renew}
	plan, err := o.Plan(c.Context(), request)
	if err != nil {
		return err
	}
	steps := plan.Steps
	w := c.OutOrStdout()
	if a.output == "json" {
		w = c.ErrOrStderr()
	}
	todo := tellPlan(w, steps)
	if f.plan || todo == 0 {
		return a.applied(c, steps)
	}
	if !f.yes {
		if err := confirm(c, fmt.Sprintf("Apply %s? Type yes:", console.Things(todo, "change")), "--yes"); err != nil {
			return err
		}
	}
	request.Plan = plan.ID
	if plan, err = o.Apply(c.Context(), request); err != nil {
		return err
	}
	steps = plan.Steps
	var failed error
	if plan.Failed > 0 {
		failed = fmt.Errorf("%d of %d exports could not be applied; see to it and apply the file again", plan.Failed, len(steps))
	}
	for _, s := range steps {
		if s.Error != "" {
			fmt.Fprintf(c.ErrOrStderr(), "«%s»: could not %s it: %s\n", s.Export, s.Verb, s.Error)
		}
	}
	if failed == nil {
		fmt.Fprintf(w, "Applied %s.\n", console.Things(todo, "change"))
	}
	return errors.Join(failed, a.applied(c, steps))
}

func (a *app) applied(c *cobra.Command, steps []operate.Step) error {
	if a.output != "json" {
		return nil
	}
	return printJSON(c.OutOrStdout(), steps)
}

// tellPlan prints a plan like a diff, and counts the steps that change something.
func tellPlan(w io.Writer, steps []operate.Step) (todo int) {
	sign := map[string]string{operate.VerbCreate: "+", operate.VerbChange: "~", operate.VerbRemove: "-"}
	unchanged := 0
	for _, s := range steps {
		switch s.Verb {
		case operate.VerbUnchanged:
			unchanged++
			continue
		case operate.VerbKeep:
			fmt.Fprintf(w, "  keep «%s», which is not in the file; --prune removes it\n", s.Export)
			continue
		}
		todo++
		fmt.Fprintf(w, "%s %s «%s»\n", sign[s.Verb], s.Verb, s.Export)
		for _, ch := range s.Changes {
			if ch.Old != "" {
				fmt.Fprintf(w, "    - %s: %s\n", ch.Setting, console.Printable(ch.Old))
			}
			if ch.New != "" {
				fmt.Fprintf(w, "    + %s: %s\n", ch.Setting, console.Printable(ch.New))
			}
		}
		if s.SentAgain {
			fmt.Fprintln(w, "    ! the mapping changes: the next run sends everybody again, which can start journeys in Iterable (fullRuns)")
		}
		if len(s.NewFields) > 0 {
			fmt.Fprintf(w, "    ! the next run creates %s in Iterable, where a field can never be removed (newFields)\n", console.Printable(schemas.FieldNames(s.NewFields)))
		}
		if s.Unforeseen != "" {
			fmt.Fprintf(w, "    ! %s\n", console.Printable(s.Unforeseen))
		}
	}
	if todo == 0 {
		fmt.Fprintln(w, "No changes.")
	} else if unchanged > 0 {
		fmt.Fprintf(w, "  %d unchanged\n", unchanged)
	}
	return todo
}
