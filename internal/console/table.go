package console

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table prints rows under a header, within the width of the terminal: it wraps the widest
// columns between words and, if even the words do not fit, prints each row as a list.
// Columns named in right are aligned right.
func Table(w io.Writer, header []string, rows [][]string, right ...string) {
	widths, fits := fit(header, rows, widthOf(w))
	if !fits {
		list(w, header, rows)
		return
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = true
	t.SetStyle(style)
	t.AppendHeader(cells(header))
	var configs []table.ColumnConfig
	for i, name := range header {
		c := table.ColumnConfig{Number: i + 1, WidthMax: widths[i], WidthMaxEnforcer: wrapCell}
		if slices.Contains(right, name) {
			c.Align, c.AlignHeader = text.AlignRight, text.AlignRight
		}
		configs = append(configs, c)
	}
	t.SetColumnConfigs(configs)
	for _, r := range rows {
		t.AppendRow(cells(r))
	}
	t.Render()
}

func cells(values []string) table.Row {
	row := make(table.Row, len(values))
	for i, v := range values {
		row[i] = v
	}
	return row
}

// longWord is the length from which a word may be broken. The ID of a run is shorter, so
// that it can be copied.
const longWord = 40

// fit returns widths for the columns so that a row is at most width wide; 0 means any
// width. fits reports whether the words are short enough for that.
func fit(header []string, rows [][]string, width int) (widths []int, fits bool) {
	widths, least := make([]int, len(header)), make([]int, len(header))
	for _, r := range append(rows, header) {
		for i, cell := range r {
			widths[i] = max(widths[i], text.LongestLineLen(cell))
			for _, word := range strings.Fields(cell) {
				least[i] = max(least[i], min(text.StringWidthWithoutEscSequences(word), longWord))
			}
		}
	}
	// A space on each side of a cell, and a line between two.
	total := 3*len(header) - 1
	for _, n := range widths {
		total += n
	}
	for width > 0 && total > width {
		widest := -1
		for i, n := range widths {
			if n > least[i] && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return nil, false
		}
		widths[widest]--
		total--
	}
	return widths, true
}

// wrapCell wraps the text of a cell and breaks long words.
func wrapCell(s string, width int) string {
	lines := wrapped(s, width)
	for i, line := range lines {
		if text.StringWidthWithoutEscSequences(line) > width {
			lines[i] = text.WrapHard(line, width)
		}
	}
	return strings.Join(lines, "\n")
}

// list prints each row as lines of a name and a value, without the empty ones.
func list(w io.Writer, header []string, rows [][]string) {
	indent := 0
	for _, name := range header {
		indent = max(indent, text.StringWidthWithoutEscSequences(name)+2)
	}
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for j, cell := range r {
			if cell != "" {
				fmt.Fprintln(w, text.Pad(header[j], indent, ' ')+Wrap(w, indent, cell))
			}
		}
	}
}
