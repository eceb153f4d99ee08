package console

import (
	"cmp"
	"fmt"
	"io"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// awaitsData describes a wait for data.
func awaitsData(w schemas.DataWait) string {
	return fmt.Sprintf("%s: %s; goes on by itself, and %s at %s", schemas.StateAwaitingData, w.Why, w.Afterwards(), w.Until.Local().Format("2006-01-02 15:04:05 MST"))
}

// Waits prints what a run and its segments wait for, and the commands that answer. command
// is the name of the starter.
func Waits(w io.Writer, command string, v operate.View) {
	for _, s := range v.Segments {
		if s.Data != nil {
			fmt.Fprintf(w, "%q is %s\n", s.Run.Segment, awaitsData(*s.Data))
		}
	}
	for _, wait := range v.Waits() {
		fmt.Fprintf(w, "%q waits at %s: %s\nAnswer with one of:\n", cmp.Or(wait.Segment, v.Run.Export), wait.Step, wait.Message)
		for _, answer := range wait.Answers {
			fmt.Fprintf(w, "  %s\n", wait.Command(command, v.Run.Export, answer))
		}
	}
}
