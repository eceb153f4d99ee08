package access

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// hostile is a name of an export, a segment, a file or a column, or a value: it clears the
// screen, sets the terminal's title, turns the direction of the text, and begins a formula.
const hostile = "=HYPERLINK(1)\x1b[2J\x1b]0;owned\x07\u009b31m\u202etxt\u2066\r"

// TestHostileNamesReachNoTerminal types every command about an export whose name, segment,
// column, file and rows are hostile. Nothing but text comes out, and no cell of a CSV file
// begins a formula. The gateway would not take such names: somebody who writes to Temporal
// has put them there, and the files are anybody's.
func TestHostileNamesReachNoTerminal(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := applyHostile(w)
	v := w.Run(e)
	if v.State != schemas.StateDone {
		t.Fatalf("%+v", v)
	}
	file := w.Path("hostile.yaml")
	text := "exports:\n  - {name: " + jsonOf(t, hostile) + ", connection: sandbox, email: x, segments: [{name: x, source: /x}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^## starter (\w+)`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 20 {
		t.Fatalf("docs/commands.md lists %d commands", len(commands))
	}
	s := w.Starter()
	s.Dir = t.TempDir()
	said := 0
	for _, c := range commands {
		if c[1] == "remove" || c[1] == "completion" {
			continue // at the end; and a script of cobra's
		}
		for _, output := range []string{"table", "json", "yaml"} {
			said += quiet(t, s, append(typedFor(c[1], hostile, hostile, file), "-o", output)...)
		}
	}
	for _, args := range [][]string{
		{"report", hostile, "--open=false"}, {"check", hostile, "--show-addresses"}, {"status", v.Run.RunID}, {"rejects", hostile, "--reason", hostile},
		{"run", "--connection", "sandbox", "--email", hostile, "--segment", hostile, "--source", e.Segments[0].Source}, {hostile}, {"run", "--" + hostile}, {"remove", hostile, "--yes"},
	} {
		said += quiet(t, s, args...)
	}
	if said == 0 {
		t.Error("no command names the export")
	}
}

// applyHostile applies an export with hostile names, of a file with one row that can't be sent.
func applyHostile(w *world.World) schemas.Export {
	t := w.T
	t.Helper()
	folder := w.Table("hostile", []arrow.Field{{Name: hostile, Type: world.TextColumn}, {Name: "n", Type: world.TextColumn}},
		`[{"`+jsonText(t, hostile)+`": "p001@example.com", "n": "1"}, {"`+jsonText(t, hostile)+`": "`+jsonText(t, hostile)+`", "n": "1"}]`)
	if err := os.Rename(filepath.Join(folder, "rows.arrow"), filepath.Join(folder, strings.ReplaceAll(hostile, "/", "_")+".arrow")); err != nil {
		t.Fatal(err)
	}
	e := w.Export(hostile, hostile)
	e.Segments[0].Source = folder
	e.Guardrails.MaxRejectedShare = new(1.0)
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	return e
}

// quiet calls the starter, and wants nothing but text of it. It counts how often the
// name was printed.
func quiet(t *testing.T, s world.Starter, args ...string) int {
	t.Helper()
	if args[0] == "rejects" {
		_, table, _ := s.Call("rejects", args[1], "--format", "csv")
		rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
		if err != nil {
			t.Errorf("rejects as CSV: %v\n%q", err, table)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
					t.Errorf("the cell %q begins a formula", cell)
				}
			}
		}
	}
	_, out, errOut := s.Call(args...)
	for i, text := range []string{out, errOut} {
		for _, r := range text {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("starter %q writes %q to %s: %q", args, r, [...]string{"stdout", "stderr"}[i], text)
				break
			}
		}
	}
	return strings.Count(out+errOut, "HYPERLINK")
}

// jsonText is a text inside of quotes of JSON.
func jsonText(t *testing.T, s string) string { return strings.Trim(jsonOf(t, s), `"`) }
