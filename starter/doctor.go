package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	var fix bool
	c := &cobra.Command{
		Use:     "doctor",
		Aliases: []string{"setup"},
		Short:   "Check the deployment, and list each problem with its fix",
		Long: `Check the deployment, and list each problem with its fix: Temporal, its namespace and
search attributes, the workers on every task queue, the clocks, the data root, the connections
with their consent and key, the grants, schedules and sources of the applied exports, and the
runs that wait for an operator.

To try a key, the worker creates an empty list in Iterable and deletes it; only for
administrators. Contributors see the sources of the connections that are shared with them.

With --fix, or as starter setup, the command first creates the namespace, if Temporal does not
have it, and missing search attributes, by which runs are found in Temporal's UI and CLI. If
you are not allowed to, it prints the commands for someone who is. Runs work without search
attributes.

Exit status: 0 if nothing is wrong, 1 otherwise.`,
		Example: "  starter doctor\n  starter doctor --fix\n  starter doctor -o json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			findings, err := a.findings(c.Context(), c.ErrOrStderr(), fix || c.CalledAs() == "setup")
			if err != nil {
				return err
			}
			healthy := doctor.Healthy(findings)
			if a.structured() {
				err = a.encode(c.OutOrStdout(), doctorOutput{healthy, findings})
			} else {
				showFindings(c.OutOrStdout(), findings)
			}
			if err == nil && !healthy {
				err = status(exitFailed)
			}
			return err
		},
	}
	c.Flags().BoolVar(&fix, "fix", false, "create a missing namespace and search attributes")
	return c
}

// findings returns the result of all checks. The error means that ctx has ended, or that
// the fix was refused.
func (a *app) findings(ctx context.Context, errOut io.Writer, fix bool) ([]doctor.Finding, error) {
	o, done, err := a.service(ctx)
	if err != nil {
		return doctor.Unreachable(err, "start Temporal, or set TEMPORAL_ADDRESS (TEMPORAL_PROFILE, TEMPORAL_TLS…, TEMPORAL_API_KEY) as for the temporal CLI"), ctx.Err()
	}
	defer done()
	if fix {
		made, err := o.Setup(ctx)
		if err != nil {
			return nil, err
		}
		if me, err := o.Me(ctx); err == nil {
			if made.Namespace {
				fmt.Fprintf(errOut, "Created the namespace %s, which keeps ended runs for %d days. Workers that wait for it begin within seconds: then repeat starter doctor.\n", me.Namespace, dial.RetentionDays)
			}
			advise(errOut, me.Namespace, made.Attributes, made.Refused)
		}
	}
	findings, err := o.Doctor(ctx)
	if err != nil && ctx.Err() == nil {
		return doctor.Unreachable(err, "set EXPORT_API to the gateway's URL, and see with starter whoami whether it accepts your token"), nil
	}
	return findings, err
}

// showFindings prints the findings and counts the problems.
func showFindings(w io.Writer, findings []doctor.Finding) {
	colours := map[doctor.State]console.Colour{doctor.OK: console.Good, doctor.Warning: console.Caution, doctor.Wrong: console.Bad, doctor.Skipped: console.Faint}
	const indent = len("warning  ")
	count := map[doctor.State]int{}
	for _, f := range findings {
		count[f.State]++
		what := f.Check
		if f.Subject != "" {
			what += ", " + f.Subject
		}
		fmt.Fprint(w, console.Paint(w, colours[f.State], fmt.Sprintf("%-*s", indent, f.State)))
		fmt.Fprintln(w, console.Wrap(w, indent, untabbed(what+": "+f.Found)))
		if f.Fix != "" {
			fmt.Fprintf(w, "%*s%s\n", indent, "", console.Wrap(w, indent+2, "→ "+untabbed(f.Fix)))
		}
	}
	fmt.Fprintln(w)
	switch wrong, warned := count[doctor.Wrong], count[doctor.Warning]; {
	case wrong > 0:
		fmt.Fprintf(w, "%d wrong, %s. Begin at the top: later problems may follow from earlier ones.\n", wrong, console.Things(warned, "warning"))
	case warned > 0:
		fmt.Fprintf(w, "Nothing is wrong, %s.\n", console.Things(warned, "warning"))
	default:
		fmt.Fprintln(w, "All is well.")
	}
}

// untabbed returns s without tabs, so that its width is known.
func untabbed(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\t", " ") }

// advise prints the commands that create the missing search attributes.
func advise(out io.Writer, namespace string, all []dial.Attribute, refused string) {
	var own, cloud []string
	for _, at := range all {
		switch {
		case at.Fits():
		case at.Has != "":
			fmt.Fprintf(out, "%s has type %s and must be %s, so runs in this namespace set no search attributes. Remove it first, or use another namespace.\n", at.Name, at.Has, at.Type)
		default:
			own = append(own, fmt.Sprintf("--name %s --type %s", at.Name, at.Type))
			cloud = append(cloud, fmt.Sprintf("--sa \"%s=%s\"", at.Name, at.Type))
		}
	}
	if len(own) == 0 {
		return
	}
	if refused != "" {
		fmt.Fprintf(out, "%s\n\n", refused)
	}
	fmt.Fprintf(out, `Someone with the right to do so has to run, on your own Temporal:

  temporal operator search-attribute create --namespace %s \
    %s

or on Temporal Cloud:

  tcld namespace search-attributes add --namespace %s \
    %s

Until then runs can't be searched for by export or state.
`, namespace, strings.Join(own, " \\\n    "), namespace, strings.Join(cloud, " \\\n    "))
}
