package console

import (
	"fmt"
	"io"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Waits says what the parts of a run wait for, and what to type. command is how
// the starter is called.
func Waits(w io.Writer, command string, v operate.View) {
	one := func(part string, waiting *schemas.Waiting) {
		if waiting == nil {
			return
		}
		fmt.Fprintf(w, "«%s» waits at %s: %s\nAnswer with one of:\n", part, waiting.Step, waiting.Message)
		for _, answer := range waiting.Answers {
			fmt.Fprintf(w, "  %s %s %s\n", command, answer, schemas.ShellWord(v.Run.Export))
		}
	}
	one(v.Run.Export, v.Waiting)
	for _, s := range v.Segments {
		one(s.Run.Segment, s.Waiting)
	}
}
