package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status RUN",
		Short:   "Show how a run stands",
		Example: `  starter status "High-value customers"`,
		Args:    exactly(1, "one RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.found(c, args[0], func(o gateway.Service, run operate.Run) error {
				v, err := o.Look(c.Context(), run)
				if err != nil {
					return err
				}
				return a.tell(c, v)
			})
		},
	}
}

// tell prints how a run stands, and gives the exit status for it.
func (a *app) tell(c *cobra.Command, v operate.View) error {
	if a.output == "json" {
		if err := printJSON(c.OutOrStdout(), v); err != nil {
			return err
		}
		return exit(v.State)
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Export «%s», run %s: %s\n\n", v.Run.Export, v.Run.RunID, v.State)
	if len(v.Segments) > 0 {
		console.Summary(w, []operate.View{v})
		fmt.Fprintln(w)
	}
	if v.Error != "" {
		fmt.Fprintln(w, v.Error)
	}
	console.Waits(w, "starter", v)
	for _, s := range v.Segments {
		if s.Report.Error != "" {
			fmt.Fprintf(w, "«%s» %s: %s\n", s.Run.Segment, s.State, s.Report.Error)
		}
		for _, warning := range s.Report.Warnings {
			fmt.Fprintf(w, "«%s» warning: %s\n", s.Run.Segment, warning)
		}
	}
	if hasRejects(v) {
		fmt.Fprintf(w, "Rejected rows: starter rejects %s\n", v.Run.RunID)
	}
	if v.Report != "" {
		fmt.Fprintf(w, "Report: starter report %s --open\n", v.Run.RunID)
	}
	return exit(v.State)
}

// hasRejects tells whether a run has rejected rows.
func hasRejects(v operate.View) bool {
	for _, s := range v.Segments {
		if s.Report.Rejects != "" {
			return true
		}
	}
	return false
}
