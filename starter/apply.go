package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
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
	changes := showPlan(w, plan.Steps)
	showStarts(w, plan.Steps, time.Now())
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
		failed = fmt.Errorf("%d of %d exports could not be applied; correct them and apply the file again", plan.Failed, len(plan.Steps))
	} else {
		fmt.Fprintf(w, "Applied %s.\n", console.Things(changes, "change"))
	}
	return errors.Join(failed, a.showApplied(c, plan.Steps))
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

// showStarts prints what the schedules mean, those that are equal once.
func showStarts(w io.Writer, steps []operate.Step, now time.Time) {
	var texts []string
	exports := map[string][]string{}
	for _, s := range steps {
		if s.Outlook == nil {
			continue
		}
		text := s.Outlook.Words + "\n"
		if len(s.Outlook.Next) > 0 {
			text += "    next " + strings.Join(operate.Starts(schemas.Timing{TimeZone: s.Outlook.TimeZone}, s.Outlook.Next, now), ", ") + "\n"
		} else if !s.Outlook.Follows {
			text += "    ! when it starts next is not known: " + s.Outlook.Unknown + "\n"
		}
		for _, warning := range s.Outlook.Warnings {
			text += "    ! " + warning + "\n"
		}
		if exports[text] == nil {
			texts = append(texts, text)
		}
		exports[text] = append(exports[text], strconv.Quote(s.Export))
	}
	const most = 5
	for _, text := range texts {
		of := exports[text]
		if more := len(of) - most; more > 0 {
			of = append(of[:most:most], fmt.Sprintf("%d more", more))
		}
		fmt.Fprintf(w, "Starts of %s: %s", strings.Join(of, ", "), text)
	}
}

// showPlan prints a plan like a diff and returns the number of steps that change something.
func showPlan(w io.Writer, steps []operate.Step) (changes int) {
	sign := map[string]string{operate.VerbCreate: "+", operate.VerbChange: "~", operate.VerbRemove: "-"}
	unchanged := 0
	for _, s := range steps {
		switch s.Verb {
		case operate.VerbUnchanged:
			unchanged++
			continue
		case operate.VerbKeep:
			fmt.Fprintf(w, "  keep %q, which is not in the file; --prune removes it\n", s.Export)
			continue
		}
		changes++
		fmt.Fprintf(w, "%s %s %q\n", sign[s.Verb], s.Verb, s.Export)
		for _, ch := range s.Changes {
			if ch.Old != "" {
				fmt.Fprintf(w, "    - %s: %s\n", ch.Setting, console.Printable(ch.Old))
			}
			if ch.New != "" {
				fmt.Fprintf(w, "    + %s: %s\n", ch.Setting, console.Printable(ch.New))
			}
		}
		if s.SentAgain {
			fmt.Fprintln(w, "    ! the mapped fields change: the next run sends all profiles again, which can start journeys in Iterable (fullRuns)")
		}
		if len(s.NewFields) > 0 {
			fmt.Fprintf(w, "    ! the next run creates %s in Iterable, where a field can't be removed (newFields)\n", console.Printable(schemas.FieldNames(s.NewFields)))
		}
		if s.Error != "" {
			fmt.Fprintf(w, "    ! this can't be applied: %s\n", console.Printable(s.Error))
		}
		if s.Unforeseen != "" {
			fmt.Fprintf(w, "    ! %s\n", console.Printable(s.Unforeseen))
		}
	}
	if changes == 0 {
		fmt.Fprintln(w, "No changes.")
	} else if unchanged > 0 {
		fmt.Fprintf(w, "  %d unchanged\n", unchanged)
	}
	return changes
}
