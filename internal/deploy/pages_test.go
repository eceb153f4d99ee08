package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPagesSayWhoTheyAreFor: the first two sentences of a page say who it is for, and what they can
// do after reading it.
func TestPagesSayWhoTheyAreFor(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(pages) < 20 {
		t.Fatal(pages, err)
	}
	opening := regexp.MustCompile(`^# [^\n]+\n\nFor [^.]*(\.\s+After\s+reading\s+it\s+you\s+(can|know|have)\s|: this page lists )`)
	for _, name := range append(pages, filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "examples/README.md")) {
		text, err := os.ReadFile(name)
		if err != nil || !opening.Match(text) {
			t.Errorf("%s begins with %.200q, %v", name, text, err)
		}
	}
}

// TestTheSampleFits: the output that README.md shows is not wider than a page.
func TestTheSampleFits(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```text\n")[1:]
	for _, block := range blocks {
		sample, _, _ := strings.Cut(block, "\n```")
		for line := range strings.Lines(sample) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
	if len(blocks) == 0 {
		t.Error("README.md has no sample")
	}
}
