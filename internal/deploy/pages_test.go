package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
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
