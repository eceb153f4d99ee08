package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
)

type applyFlags struct {
	yes, prune, renew, plan, detailed bool
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Create and change exports and schedules as a file defines them",
		Long: `Create and change exports and schedules as a file defines them. FILE is exports.yaml by
default. The command shows what it would create, change and remove, and asks. It runs
nothing: exports run at their scheduled times, or with starter run. Exports that are not in
the file stay; --prune removes them and their data in the data root, but not their lists in
Iterable. Where runs need a grant, the command also renews grants that are not valid, or that
an older WORKER_SECRET signed.

With --plan the exit status is 0 if everything can be applied, and 1 if something can't. With
--detailed-exitcode as well it is 4 if there are changes, and 0 if there are none.`,
		Example: `  starter apply
  starter apply exports.yaml --plan --detailed-exitcode
  starter apply exports.yaml --prune --yes`,
		Args: atMostOne("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.detailed && !f.plan {
				return usageError{errors.New("--detailed-exitcode needs --plan")}
			}
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
	p.BoolVar(&f.detailed, "detailed-exitcode", false, "with --plan, exit with status 4 if there are changes")
	p.BoolVar(&f.prune, "prune", false, "remove exports that are not in the file")
	p.BoolVar(&f.renew, "renew", false, "grant every export again, for example with your new role")
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
	w := c.OutOrStdout()
	if a.structured() {
		w = c.ErrOrStderr()
	}
	changes := console.Plan(w, plan.Steps)
	console.Starts(w, plan.Steps, time.Now())
	if f.plan || changes == 0 {
		return cmp.Or(a.showApplied(c, plan.Steps), planStatus(plan.Failed, changes, f))
	}
	if !f.yes {
		if err := confirm(c, "--yes", "Apply %s?", console.Things(changes, "change")); err != nil {
			return err
		}
	}
	request.Plan = plan.ID
	if plan, err = o.Apply(c.Context(), request); err != nil {
		return err
	}
	for _, s := range plan.Steps {
		if s.Error != "" {
			fmt.Fprintf(c.ErrOrStderr(), "could not %s %q: %s\n", s.Verb, s.Export, s.Error)
		}
	}
	var failed error
	if plan.Failed > 0 {
		failed = fmt.Errorf("%d of %d exports could not be applied; correct them and apply the file again", plan.Failed, concerned(plan.Steps))
	} else {
		fmt.Fprintf(w, "Applied %s.\n", console.Things(changes, "change"))
	}
	return errors.Join(failed, a.showApplied(c, plan.Steps))
}

// concerned returns how many exports a file is about: those that stay although it does not have
// them do not count.
func concerned(steps []operate.Step) (n int) {
	for _, s := range steps {
		if s.Verb != operate.VerbKeep {
			n++
		}
	}
	return n
}

// planStatus returns the exit status of a plan that is not carried out.
func planStatus(failed, changes int, f applyFlags) error {
	switch {
	case failed > 0:
		return fmt.Errorf("%s can't be applied", console.Things(failed, "export"))
	case changes > 0 && f.detailed:
		return status(exitChanges)
	}
	return nil
}

func (a *app) showApplied(c *cobra.Command, steps []operate.Step) error {
	if !a.structured() {
		return nil
	}
	return a.encode(c.OutOrStdout(), steps)
}
