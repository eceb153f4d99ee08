package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
)

// TestAPageOnATerminalIsText: the names of a segment's files are in the report of a run, and whoever
// writes the files chooses them.
func TestAPageOnATerminalIsText(t *testing.T) {
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetOut(console.NewFilter(&out))
	page := "<p>day \x1b]0;pwned\x07\x1b[2J.parquet</p>\n"
	if err := (&app{}).save(c, reportFlags{out: "-"}, "x.html", []byte(page), nil); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07") || !strings.HasPrefix(got, "<p>day ") || !strings.HasSuffix(got, ".parquet</p>\n") {
		t.Errorf("%q", got)
	}
}

// TestARecordIsNotForATerminal: it has the values of rows as they are.
func TestARecordIsNotForATerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	var usage usageError
	if err := notForTerminal(console.NewFilter(terminal)); !errors.As(err, &usage) {
		t.Errorf("a terminal: %v", err)
	}
	if err := notForTerminal(console.NewFilter(&bytes.Buffer{})); err != nil {
		t.Errorf("a pipe: %v", err)
	}
}

// TestARecordIsOnlyForItsOwner: in a folder that others may write to, somebody has put a file or a
// link under the name that the record will have until it is complete.
func TestARecordIsOnlyForItsOwner(t *testing.T) {
	dir := t.TempDir()
	name, theirs := filepath.Join(dir, "rows.parquet"), filepath.Join(dir, "theirs")
	if err := os.WriteFile(theirs, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(theirs, name+".part"); err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "ann@example.com")
		return err
	}
	if err := saveRecord(name, write); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(theirs); err != nil || len(text) > 0 {
		t.Errorf("the other file has %q, %v", text, err)
	}
	if info, err := os.Lstat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	broken := errors.New("broken")
	if err := saveRecord(name, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "ann@example.com" {
		t.Errorf("after a failure it has %q, %v", text, err)
	}
	if left, err := filepath.Glob(name + ".part-*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// TestTheNameOfASavedFile: two segments of a run have different names, which can be read.
func TestTheNameOfASavedFile(t *testing.T) {
	for want, parts := range map[string][]string{
		"Spring-run.parquet":                     {"Spring", "", "run"},
		"Spring-Spring-A-run.parquet":            {"Spring", "Spring/A", "run"},
		"Spring-Spring-B-run.parquet":            {"Spring", "Spring/B", "run"},
		"etc-run.parquet":                        {"../../etc/", "..", "run"},
		"会員-ø-run.parquet":                       {"会員", "--ø*", "run"},
		strings.Repeat("会", 20) + "-run.parquet": {strings.Repeat("会", 80), "", "run"},
	} {
		if got := fileName(".parquet", parts...); got != want {
			t.Errorf("%q: %s, want %s", parts, got, want)
		}
	}
}
