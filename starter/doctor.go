package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Find out whether everything is there that runs need, and how to mend what is not",
		Long: `Find out whether everything is there that runs need, and how to mend what is not:
Temporal, its namespace and search attributes, workers on every task queue, their
clocks and data root, each connection's consent and key, and the segments of the
exports that were applied.

What only the worker can see it is asked for. To try a key it makes an empty list in
Iterable and deletes it again, for administrators only; contributors see the sources
of the connections that are shared with them.

Exit status: 0 nothing is wrong, 1 something is.`,
		Example: "  starter doctor\n  starter doctor -o json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			findings, err := a.examine(c.Context())
			if err != nil {
				return err
			}
			healthy := doctor.Healthy(findings)
			if a.output == "json" {
				err = printJSON(c.OutOrStdout(), map[string]any{"healthy": healthy, "findings": findings})
			} else {
				tellFindings(c.OutOrStdout(), findings)
			}
			if err == nil && !healthy {
				err = status(exitFailed)
			}
			return err
		},
	}
}

// examine has everything looked at. The error is that somebody has stopped it.
func (a *app) examine(ctx context.Context) ([]doctor.Finding, error) {
	o, done, err := a.service(ctx)
	if err != nil {
		return doctor.Unreachable(doctor.CheckTemporal, err,
			"start Temporal, or set TEMPORAL_ADDRESS (TEMPORAL_PROFILE, TEMPORAL_TLS…, TEMPORAL_API_KEY) as for the temporal CLI"), ctx.Err()
	}
	defer done()
	findings, err := o.Doctor(ctx)
	if err != nil && ctx.Err() == nil {
		return doctor.Unreachable(doctor.CheckTemporal, err, "set EXPORT_API to the gateway's URL, and see with starter whoami whether it takes you for somebody"), nil
	}
	return findings, err
}

// tellFindings prints the findings, and how many are not well.
func tellFindings(w io.Writer, findings []doctor.Finding) {
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
		if f.Mend != "" {
			fmt.Fprintf(w, "%*s%s\n", indent, "", console.Wrap(w, indent+2, "→ "+untabbed(f.Mend)))
		}
	}
	fmt.Fprintln(w)
	switch wrong, warned := count[doctor.Wrong], count[doctor.Warning]; {
	case wrong > 0:
		fmt.Fprintf(w, "%d wrong, %d to know of. Begin at the top: what is below may follow from what is above.\n", wrong, warned)
	case warned > 0:
		fmt.Fprintf(w, "Nothing is wrong, %d to know of.\n", warned)
	default:
		fmt.Fprintln(w, "All is well.")
	}
}

// untabbed makes the width of a text known.
func untabbed(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\t", " ") }
