package console

import (
	"fmt"
	"io"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Run prints the state of one run.
func Run(w io.Writer, v operate.View) {
	fmt.Fprintf(w, "Export %q, run %s: %s\n\n", v.Run.Export, v.Run.RunID, v.State)
	if len(v.Segments) > 0 {
		Summary(w, []operate.View{v})
		fmt.Fprintln(w)
	}
	if v.Error != "" {
		fmt.Fprintln(w, v.Error)
	}
	Segments(w, v)
	for _, s := range v.Segments {
		if s.Report.Rejects != "" {
			fmt.Fprintf(w, "Rejected rows: starter rejects %s\n", v.Run.RunID)
			break
		}
	}
	if v.Report != "" {
		fmt.Fprintf(w, "Report: starter report %s --open\n", v.Run.RunID)
	}
}

// Segments prints the waits, retries, errors and warnings of a run.
func Segments(w io.Writer, v operate.View) {
	Waits(w, "starter", v)
	for name, retrying := range v.Retries() {
		fmt.Fprintf(w, "%q: %s\n", name, retrying)
	}
	for _, a := range v.Answers {
		fmt.Fprintf(w, "%q %s\n", v.Run.Export, a)
	}
	for _, s := range v.Segments {
		for _, a := range s.Report.Answers {
			if a.Answer != schemas.UpdateAbort { // the error below says it
				fmt.Fprintf(w, "%q %s\n", s.Run.Segment, a)
			}
		}
		if s.Report.Error != "" {
			fmt.Fprintf(w, "%q %s: %s\n", s.Run.Segment, s.State, s.Report.Error)
		}
		for _, warning := range s.Report.Warnings {
			fmt.Fprintf(w, "%q warning: %s\n", s.Run.Segment, warning)
		}
	}
}
