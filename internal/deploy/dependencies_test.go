package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependenciesAreDescribed compares the table in CONTRIBUTING.md with the
// modules that go.mod requires directly, and with its tools.
func TestDependenciesAreDescribed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## Dependencies")
	if !found {
		t.Fatal("CONTRIBUTING.md has no section Dependencies")
	}
	var described []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\| (.+) \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			described = append(described, strings.Trim(name, "`"))
		}
	}
	mod := goMod(t)
	var all []string
	for _, r := range mod.Require {
		all = append(all, r.Mod.Path)
		if !r.Indirect && !slices.Contains(described, r.Mod.Path) {
			t.Errorf("CONTRIBUTING.md does not say what %s is for, how it is licensed and who keeps it", r.Mod.Path)
		}
	}
	for _, name := range described {
		if !slices.Contains(all, name) {
			t.Errorf("CONTRIBUTING.md describes %s, which go.mod does not require", name)
		}
	}
	for _, tool := range mod.Tool {
		if !slices.ContainsFunc(described, func(m string) bool { return tool.Path == m || strings.HasPrefix(tool.Path, m+"/") }) {
			t.Errorf("CONTRIBUTING.md does not describe the tool %s", tool.Path)
		}
	}
}

// TestFoldersAreDescribed: a newcomer finds every package in CONTRIBUTING.md.
func TestFoldersAreDescribed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for _, pattern := range []string{"*/*.go", "internal/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			folder, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			folder = filepath.ToSlash(folder)
			described[folder] = strings.Contains(string(page), "]("+folder+")")
		}
	}
	for folder, is := range described {
		if !is {
			t.Errorf("CONTRIBUTING.md does not say what %s is", folder)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(link[1]))); err != nil {
			t.Errorf("CONTRIBUTING.md links to %s: %v", link[1], err)
		}
	}
}
