package console

import (
	"cmp"
	"fmt"
	"io"

	"iterable-segment-export/internal/operate"
)

// Waits says what the parts of a run wait for, and what to type. command is how
// the starter is called.
func Waits(w io.Writer, command string, v operate.View) {
	for _, wait := range v.Waits() {
		fmt.Fprintf(w, "«%s» waits at %s: %s\nAnswer with one of:\n", cmp.Or(wait.Segment, v.Run.Export), wait.Step, wait.Message)
		for _, answer := range wait.Answers {
			fmt.Fprintf(w, "  %s\n", wait.Command(command, v.Run.Export, answer))
		}
	}
}
