package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// Line and Column count from 1. They are 0 if the problem is the file as a whole.
	Line, Column int
	// Text says what is wrong and what to do about it.
	Text string
}

// FileError has the problems of one file, in the order of the file.
type FileError struct {
	Path     string
	Problems []Problem
}

// Error returns a line "file:line:column: text" for each problem, or "text" if there is no file.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		switch {
		case e.Path == "":
			lines[i] = p.Text
		case p.Line == 0:
			lines[i] = fmt.Sprintf("%s: %s", e.Path, p.Text)
		default:
			lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.Path, p.Line, p.Column, p.Text)
		}
	}
	return strings.Join(lines, "\n")
}

// mostProblems is the most problems that are reported at once.
const mostProblems = 50

// problems collects the problems of one file.
type problems struct {
	path string
	list []Problem
}

func (p *problems) add(at position, format string, args ...any) {
	p.list = append(p.list, Problem{Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)})
}

// err returns the problems as a FileError, or nil if there are none.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list := slices.Compact(p.list)
	if n := len(list) - mostProblems; n > 0 {
		list = append(list[:mostProblems:mostProblems], Problem{Text: fmt.Sprintf("… and %d more", n)})
	}
	return &FileError{Path: p.path, Problems: list}
}

// quote quotes text from a file for a message, unless it may be an API key.
func quote(s string) string {
	const most = 80
	if looksLikeKey(s) {
		return "(text that looks like an API key)"
	}
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// looksLikeKey reports whether text may contain an API key: 20 or more letters and digits in
// a row, with both among them. Iterable's keys are 32 hexadecimal digits.
func looksLikeKey(s string) bool {
	const long = 20
	run, letters, digits := 0, 0, 0
	for _, r := range s {
		switch {
		case r <= unicode.MaxASCII && unicode.IsDigit(r):
			run, digits = run+1, digits+1
		case r <= unicode.MaxASCII && unicode.IsLetter(r):
			run, letters = run+1, letters+1
		default:
			run, letters, digits = 0, 0, 0
		}
		if run >= long && letters > 0 && digits > 1 {
			return true
		}
	}
	return false
}
