package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheCommandsForOrchestrators parses the commands in the examples of docs/triggers.md as
// the starter does. TestOrchestratorsRunAnExport runs the examples.
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
}
