package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// printable reports whether a character only shows as itself. Control characters, which
// begin escape sequences, characters that change the direction of text, private ones and
// invalid ones do not. The two joiners are needed for Persian and some emoji.
func printable(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r)) || r == nonJoiner || r == joiner
}

// Printable returns s with every character replaced that is not printable, so that a value
// from outside can be shown on one line of a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if printable(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// Filter is a writer that passes on only printable characters, line ends and tabs, whatever
// is in the names and values that a command prints. On a terminal it also passes on the
// colours of Paint. Progress bars, which control the terminal, use Unfiltered.
type Filter struct {
	w       io.Writer
	colours bool
	begun   []byte // an incomplete character or colour
}

// NewFilter returns a Filter that writes to w.
func NewFilter(w io.Writer) *Filter { return &Filter{w: w, colours: coloured(w)} }

// Unfiltered returns the writer behind a Filter, or w itself.
func Unfiltered(w io.Writer) io.Writer {
	if f, ok := w.(*Filter); ok {
		return f.w
	}
	return w
}

func file(w io.Writer) (*os.File, bool) {
	f, ok := Unfiltered(w).(*os.File)
	return f, ok
}

// colour matches an escape sequence of Paint at the beginning of a text.
var colour = regexp.MustCompile(`^\x1b\[(0|2|31|32|33)m`)

// longestColour is the length of the longest match of colour.
const longestColour = len("\x1b[31m")

func (f *Filter) Write(p []byte) (int, error) {
	text := append(f.begun, p...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if text[0] == '\x1b' && f.colours {
			if c := colour.Find(text); c != nil {
				out, text = append(out, c...), text[len(c):]
				continue
			}
			if len(text) < longestColour && bytes.HasPrefix([]byte("\x1b["), text[:min(2, len(text))]) {
				break
			}
		}
		if !utf8.FullRune(text) {
			break
		}
		r, n := utf8.DecodeRune(text)
		if r == '\n' || r == '\t' || printable(r) {
			out = append(out, text[:n]...)
		} else {
			out = utf8.AppendRune(out, utf8.RuneError)
		}
		text = text[n:]
	}
	f.begun = bytes.Clone(text)
	if _, err := f.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// JSON writes v as indented JSON, with characters escaped that are not printable.
func JSON(w io.Writer, v any) error { return writeJSON(w, v, "  ") }

// JSONLine is JSON on one line.
func JSONLine(w io.Writer, v any) error { return writeJSON(w, v, "") }

// YAML writes v as YAML, with the members that JSON has. Characters that are not printable are
// escaped.
func YAML(w io.Writer, v any) error {
	var text bytes.Buffer
	if err := JSON(&text, v); err != nil {
		return err
	}
	var members any
	if err := yaml.UnmarshalWithOptions(text.Bytes(), &members, yaml.UseOrderedMap()); err != nil {
		return err
	}
	out, err := yaml.MarshalWithOptions(members, yaml.CustomMarshaler(scalar))
	if err == nil {
		_, err = w.Write(out)
	}
	return err
}

// YAMLDocument is YAML as one document of several.
func YAMLDocument(w io.Writer, v any) error {
	if _, err := io.WriteString(w, "---\n"); err != nil {
		return err
	}
	return YAML(w, v)
}

// scalar quotes strings that the YAML library writes as they are, although they are read as
// something else: "---", ".inf", "? a", and those with line ends or characters that are not
// printable.
func scalar(s string) ([]byte, error) {
	if Printable(s) != s || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".") || strings.HasPrefix(s, "?") {
		return []byte(strconv.Quote(s)), nil
	}
	return yaml.Marshal(s)
}

func writeJSON(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range text.String() {
		switch {
		case r == '\n' || r == utf8.RuneError || printable(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// formula matches what begins a formula in a cell. Where spreadsheets separate cells by
// semicolons, a semicolon in a value begins another cell, and quotes before a formula go.
var formula = regexp.MustCompile("(^|;)([ \"]*[=+\\-@\uFF1D\uFF0B\uFF0D\uFF20])")

// Cell returns a value that is safe in a CSV file: it is printable, and a spreadsheet does not
// take it for a formula, thanks to the apostrophe that OWASP recommends
// (https://owasp.org/www-community/attacks/CSV_Injection).
func Cell(s string) string { return formula.ReplaceAllString(Printable(s), "${1}'${2}") }
