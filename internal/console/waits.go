package console

import (
	"cmp"
	"fmt"
	"io"

	"iterable-segment-export/internal/operate"
)

// Waits prints what a run and its segments wait for, and the commands that answer. command
// is the name of the starter.
func Waits(w io.Writer, command string, v operate.View) {
	for _, wait := range v.Waits() {
		fmt.Fprintf(w, "%q waits at %s: %s\nAnswer with one of:\n", cmp.Or(wait.Segment, v.Run.Export), wait.Step, wait.Message)
		for _, answer := range wait.Answers {
			fmt.Fprintf(w, "  %s\n", wait.Command(command, v.Run.Export, answer))
		}
	}
}
