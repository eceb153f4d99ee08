package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHasExamples that the command itself understands.
func TestEveryCommandHasExamples(t *testing.T) {
	for _, c := range newRoot().Commands() {
		t.Run(c.Name(), func(t *testing.T) {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") {
				t.Errorf("it is described as %q", c.Short)
			}
			for line := range strings.Lines(c.Long) {
				if len(line) > 100 {
					t.Errorf("a line of its help has %d columns: %s", len(line), line)
				}
			}
			examples := commandLines(t, c.Example)
			if len(examples) == 0 {
				t.Fatal("no example")
			}
			for _, words := range examples {
				understood(t, c.Name(), words)
			}
			var out strings.Builder
			if code := execute(t.Context(), []string{c.Name(), "--help"}, &out, io.Discard); code != 0 || !strings.Contains(out.String(), "Examples:\n  ") {
				t.Errorf("--help ends with %d:\n%s", code, &out)
			}
		})
	}
	for _, words := range commandLines(t, newRoot().Example) {
		understood(t, "", words)
	}
}

// understood fails the test unless the words are a command line that is right.
func understood(t *testing.T, command string, words []string) {
	t.Helper()
	c, rest, err := newRoot().Find(words)
	if err == nil && command != "" && c.Name() != command {
		t.Errorf("%q is an example of %s", words, c.Name())
	}
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil {
		t.Errorf("%q: %v", words, err)
	}
}

// commandLines are the words of each call of the starter in examples, as a shell
// parts them.
func commandLines(t *testing.T, examples string) (lines [][]string) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(examples, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		line = strings.TrimPrefix(line, "source <(")
		if v, call, ok := strings.Cut(line, " "); ok && strings.Contains(v, "=") {
			line = call // a variable of its environment
		}
		line, isStarter := strings.CutPrefix(line, "starter")
		if !isStarter {
			t.Errorf("%q does not begin with starter", line)
			continue
		}
		var words []string
		var word strings.Builder
		quoted, inWord := false, false
	parts:
		for _, r := range line {
			switch {
			case r == '"':
				quoted, inWord = !quoted, true
			case quoted || !strings.ContainsRune(" |>#)", r):
				word.WriteRune(r)
				inWord = true
			default:
				if inWord {
					words = append(words, word.String())
					word.Reset()
					inWord = false
				}
				if r != ' ' {
					break parts // the shell's
				}
			}
		}
		if inWord {
			words = append(words, word.String())
		}
		lines = append(lines, words)
	}
	return lines
}

// TestCompletionIsSilent where Temporal is out of reach, and completes what needs
// none.
func TestCompletionIsSilent(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	for line, want := range map[string]string{
		"status ":      ":4\n",
		"run Spr":      ":4\n",
		"connect ":     ":4\n",
		"runs -o js":   "table\njson\nyaml\nname\n:4\n",
		"completion b": "bash\n:4\n",
		"help sta":     "status\tShow a run, or all runs under way, and follow them\n:4\n",
		"apply ":       "yaml\nyml\n:8\n",
	} {
		var out, errOut strings.Builder
		args := strings.Split(cobra.ShellCompRequestCmd+" "+line, " ")
		if code := execute(t.Context(), args, &out, &errOut); code != 0 || out.String() != want {
			t.Errorf("%q ends with %d and completes\n%s, want\n%s", line, code, &out, want)
		}
		// cobra itself says what the shell does with a completion.
		if strings.Contains(errOut.String(), "rror:") {
			t.Errorf("%q says %s", line, &errOut)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		var out strings.Builder
		if code := execute(t.Context(), []string{"completion", shell}, &out, io.Discard); code != 0 || !strings.Contains(out.String(), cobra.ShellCompRequestCmd) {
			t.Errorf("%s ends with %d:\n%.200s", shell, code, &out)
		}
	}
	var errOut strings.Builder
	if code := execute(t.Context(), []string{"completion", "tcsh"}, io.Discard, &errOut); code != exitUsage || !strings.Contains(errOut.String(), "bash|zsh|fish|powershell") {
		t.Errorf("an unknown shell ends with %d: %s", code, &errOut)
	}
}
