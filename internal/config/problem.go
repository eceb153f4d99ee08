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
	// Line and Column say where, from 1; 0 where it is the file as a whole.
	Line, Column int
	// Text says what is wrong and what to do about it.
	Text string
}

// FileError is everything that is wrong with one file, in the file's order.
type FileError struct {
	Path     string
	Problems []Problem
}

// Error has a line "file:line:column: what" for each problem.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		if p.Line == 0 {
			lines[i] = fmt.Sprintf("%s: %s", e.Path, p.Text)
		} else {
			lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.Path, p.Line, p.Column, p.Text)
		}
	}
	return strings.Join(lines, "\n")
}

// mostProblems is how many problems of one file are reported; more than these
// nobody reads at once.
const mostProblems = 50

// problems collects what is wrong with one file.
type problems struct {
	path string
	list []Problem
}

func (p *problems) add(at position, format string, args ...any) {
	p.list = append(p.list, Problem{Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)})
}

// err gives the problems in the file's order, or nil where there is none.
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

// quote repeats text from a file in a message, unless it may be an API key.
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

// looksLikeKey tells whether text may be, or may hold, an API key: Iterable's
// are 32 hexadecimal digits; a long run of letters and digits that mixes both is
// held for one too.
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
