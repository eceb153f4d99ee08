package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain makes the test's program be the sandbox that the scenarios start, as the
// program does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSandbox {
		if err := newRoot().ExecuteContext(context.Background()); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// TestExamples wants the flags of every example to be there.
func TestExamples(t *testing.T) {
	for line := range strings.Lines(newRoot().Example) {
		args, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./internal/bench")
		if err := newRoot().ParseFlags(strings.Fields(args)); err != nil || !ok {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// TestEveryScenarioMeasures runs what does not take minutes, on few rows and without
// a limit, and wants a figure of each.
func TestEveryScenarioMeasures(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n"+markBegin+"\nold\n"+markEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	report, err := Run(t.Context(), Options{
		Rows: 2000, Out: dir, Only: []string{"body", "staging", "unthrottled", "memory", "refresh"},
		Sandbox: []string{os.Args[0], asSandbox}, Unthrottled: true, Progress: &said,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	figures := map[string]int{}
	for _, f := range report.Figures {
		figures[f.Scenario]++
		if f.Measured < 0 || f.Unit == "" || f.What == "" || f.Floor < 0 || f.FloorOf != "" && f.Floor == 0 {
			t.Errorf("%+v", f)
		}
	}
	for scenario, n := range map[string]int{"body": 1, "staging": 3, "unthrottled": 3, "memory": 2, "refresh": 2} {
		if figures[scenario] != n {
			t.Errorf("%s: %d figures, want %d", scenario, figures[scenario], n)
		}
	}
	read, err := Read(filepath.Join(dir, File))
	if err != nil || len(read.Figures) != len(report.Figures) {
		t.Errorf("read %d figures of %d: %v", len(read.Figures), len(report.Figures), err)
	}
	if err := read.RewriteMarkdown(page); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil || strings.Contains(string(text), "old") || strings.Count(string(text), "\n| ") != len(report.Figures)+2 ||
		!strings.HasPrefix(string(text), "before\n") || !strings.HasSuffix(string(text), "\nafter\n") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestAFigureAgainstItsTarget is about what is called met.
func TestAFigureAgainstItsTarget(t *testing.T) {
	for _, c := range []struct {
		f   Figure
		met bool
	}{
		{Figure{Measured: 205, Floor: 200, Target: 1.03}, true},
		{Figure{Measured: 207, Floor: 200, Target: 1.03}, false},
		{Figure{Measured: 6, Target: 5, AtLeast: true}, true},
		{Figure{Measured: 4, Target: 5, AtLeast: true}, false},
		{Figure{Measured: 201, Target: 200}, false},
		{Figure{Measured: 1000}, true},
	} {
		if c.f.Met() != c.met {
			t.Errorf("%+v: met %v, want %v", c.f, c.f.Met(), c.met)
		}
	}
	if _, err := Run(t.Context(), Options{Only: []string{"fast"}}); err == nil || !strings.Contains(err.Error(), "staging") {
		t.Errorf("an unknown scenario: %v", err)
	}
}
