package console

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"iterable-segment-export/schemas"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := file(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// FromTerminal reports whether r is a terminal, so that a person can be asked.
func FromTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widthOf returns the number of columns of w: that of COLUMNS, or of the terminal, or 0 if
// lines may have any length.
func widthOf(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := file(w); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// Colour is the meaning that a colour shows.
type Colour int

// Colours.
const (
	Plain Colour = iota
	Good
	Caution
	Bad
	Faint
)

var escapes = map[Colour]text.Color{Good: text.FgGreen, Caution: text.FgYellow, Bad: text.FgRed, Faint: text.Faint}

// coloured reports whether colours may be written to w: it is a terminal that supports
// them, and NO_COLOR is not set (https://no-color.org).
func coloured(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Paint returns s in a colour if w is coloured.
func Paint(w io.Writer, c Colour, s string) string {
	if escape, ok := escapes[c]; ok && s != "" && coloured(w) {
		return escape.EscapeSeq() + s + text.Reset.EscapeSeq()
	}
	return s
}

// State returns the state of a run or of a segment in its colour.
func State(w io.Writer, state string) string {
	colours := map[string]Colour{
		schemas.StateDone: Good, schemas.StateWaiting: Caution, schemas.StateSkipped: Caution,
		schemas.StateFailed: Bad, schemas.StateAborted: Bad, schemas.StateCancelled: Bad,
	}
	return Paint(w, colours[state], state)
}

// Wrap breaks text between words at the width of w. Lines after the first begin with indent
// spaces, which the caller has written before the first one. A word that is too long for a
// line stays whole, so that it can be copied.
func Wrap(w io.Writer, indent int, s string) string {
	const least = 20 // a narrower column is hard to read
	lines := strings.Split(s, "\n")
	if width := widthOf(w) - indent; width >= least {
		lines = wrapped(s, width)
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// wrapped returns the lines of a text, broken between words at width.
func wrapped(s string, width int) (lines []string) {
	for line := range strings.SplitSeq(s, "\n") {
		if text.StringWidthWithoutEscSequences(line) <= width {
			lines = append(lines, line)
			continue
		}
		begun := ""
		for _, word := range strings.Fields(line) {
			switch {
			case begun == "":
				begun = word
			case text.StringWidthWithoutEscSequences(begun+" "+word) <= width:
				begun += " " + word
			default:
				lines = append(lines, begun)
				begun = word
			}
		}
		lines = append(lines, begun)
	}
	return lines
}
