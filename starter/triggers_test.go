package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestTheCommandsForOrchestrators parses the commands in the examples of docs/triggers.md as
// the starter does, and has Python parse those that are in Python.
func TestTheCommandsForOrchestrators(t *testing.T) {
	page, err := os.ReadFile("../docs/triggers.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`["starter", "run", "Spring campaign", "--wait-for-data"]`, `starter run "Spring campaign" --wait-for-data`).Replace(string(page))
	commands := regexp.MustCompile(`starter (run "[^"]+"(?: --[a-z-]+)+)`).FindAllStringSubmatch(text, -1)
	if len(commands) < 4 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for _, c := range commands {
		words := strings.Split(strings.NewReplacer(`"`, "", "Spring campaign", "Spring\u00a0campaign").Replace(c[1]), " ")
		command, rest, err := newRoot().Find(words)
		if err != nil || command.Name() != "run" {
			t.Errorf("%s: %v", c[1], err)
			continue
		}
		if err := command.ParseFlags(rest); err != nil || len(command.Flags().Args()) != 1 {
			t.Errorf("%s: %v, %q", c[1], err, command.Flags().Args())
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	blocks := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 2 {
		t.Fatalf("the page has %d examples in Python", len(blocks))
	}
	for _, b := range blocks {
		parse := exec.Command(python, "-c", "import ast, sys; ast.parse(sys.stdin.read())")
		parse.Stdin = strings.NewReader(b[1])
		if out, err := parse.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
