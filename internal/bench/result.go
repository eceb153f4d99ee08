package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"iterable-segment-export/internal/console"
)

// Figure is one row of the table.
type Figure struct {
	// Scenario is what Options.Only knows it by, What it says.
	Scenario string `json:"scenario"`
	What     string `json:"what"`
	// Measured and Floor are in Unit; Floor is 0 where there is none, and
	// FloorOf says what it is.
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	Floor    float64 `json:"floor,omitempty"`
	FloorOf  string  `json:"floorOf,omitempty"`
	// Target bounds Measured ÷ Floor, or Measured where there is no floor: from
	// above, or with AtLeast from below. 0 is no target.
	Target  float64 `json:"target,omitempty"`
	AtLeast bool    `json:"atLeast,omitempty"`
	// Note says what else was seen.
	Note string `json:"note,omitempty"`
}

// Ratio is the figure against its floor, or alone where there is none.
func (f Figure) Ratio() float64 {
	if f.Floor > 0 {
		return f.Measured / f.Floor
	}
	return f.Measured
}

// Met tells whether the target was reached.
func (f Figure) Met() bool {
	switch {
	case f.Target == 0:
		return true
	case f.AtLeast:
		return f.Ratio() >= f.Target
	}
	return f.Ratio() <= f.Target
}

// Report is what a benchmark found.
type Report struct {
	At      time.Time `json:"at"`
	Rows    int64     `json:"rows"`
	Machine Machine   `json:"machine"`
	Figures []Figure  `json:"figures"`
}

// Machine says where it was measured.
type Machine struct {
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	// LoadBefore and LoadAfter are the system's load averages, where it has them:
	// a machine that others keep busy gives poor figures.
	LoadBefore string `json:"loadBefore,omitempty"`
	LoadAfter  string `json:"loadAfter,omitempty"`
}

func machine() Machine {
	return Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, LoadBefore: load()}
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// header names the columns of the table.
var header = []string{"what", "measured", "floor", "ratio", "target", "met", "note"}

// cells are a figure's columns as text.
func (f Figure) cells() []string {
	floor, ratio, target, met := "–", "–", "–", "–"
	if f.Floor > 0 {
		floor = number(f.Floor) + " " + f.Unit + " (" + f.FloorOf + ")"
		ratio = fmt.Sprintf("%.3f", f.Ratio())
	}
	if f.Target > 0 {
		sign := "≤"
		if f.AtLeast {
			sign = "≥"
		}
		target, met = sign+" "+number(f.Target), "yes"
		if f.Floor > 0 {
			target += " ×"
		} else {
			target += " " + f.Unit
		}
		if !f.Met() {
			met = "NO"
		}
	}
	return []string{f.What, number(f.Measured) + " " + f.Unit, floor, ratio, target, met, f.Note}
}

// number writes three or four significant digits.
func number(v float64) string {
	switch {
	case v >= 1000:
		return console.Count(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Table prints the figures for a terminal.
func (r Report) Table(w io.Writer) {
	rows := make([][]string, len(r.Figures))
	for i, f := range r.Figures {
		rows[i] = f.cells()
	}
	console.Table(w, header, rows, "measured", "ratio", "target")
}

// File is the name of the file that Write makes.
const File = "bench.json"

// Write keeps the report as File in a folder.
func (r Report) Write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, File), append(data, '\n'), 0o644)
}

// Read reads a bench.json.
func Read(file string) (r Report, err error) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read the figures of a benchmark: %w", err)
	}
	return r, nil
}

// The lines between which RewriteMarkdown writes.
const (
	markBegin = "<!-- bench: begin -->"
	markEnd   = "<!-- bench: end -->"
)

// RewriteMarkdown puts the report into a page, between its two marks.
func (r Report) RewriteMarkdown(file string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(page), markBegin)
	_, tail, closed := strings.Cut(rest, markEnd)
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the figures: a line %s and, below it, a line %s", file, markBegin, markEnd)
	}
	return os.WriteFile(file, []byte(head+markBegin+"\n"+r.markdown()+markEnd+tail), 0o644)
}

func (r Report) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "\nMeasured %s with %s rows on %d cores (%s, %s), load %s before and %s after.\n\n",
		r.At.Format(time.DateOnly), console.Count(r.Rows), m.Cores, m.OS, m.Go, or(m.LoadBefore, "unknown"), or(m.LoadAfter, "unknown"))
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	line([]string{"---", "---:", "---:", "---:", "---:", "---", "---"})
	for _, f := range r.Figures {
		line(f.cells())
	}
	b.WriteByte('\n')
	return b.String()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
