package commands

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/sandbox"
)

// TestNamedTests wants the tests that docs/reliability.md names for each fault to exist, in
// the package that the page says.
func TestNamedTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "docs/reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "### The proven faults and their tests")
	table, _, _ = strings.Cut(table, "\n## ")
	named := regexp.MustCompile("`(Test\\w+)`(?: \\(([a-z0-9/]+))?").FindAllStringSubmatch(table, -1)
	if len(named) < 30 {
		t.Fatalf("the page names %d tests", len(named))
	}
	for _, n := range named {
		folder := cmp.Or(n[2], "activities")
		if strings.HasPrefix(folder, "e2e/") {
			folder = "internal/" + folder
		}
		if !declares(t, folder, n[1]) {
			t.Errorf("%s has no %s", folder, n[1])
		}
	}
}

// TestTheSandboxsKeyIsDocumented where somebody looks who writes connections for the sandbox.
func TestTheSandboxsKeyIsDocumented(t *testing.T) {
	for _, file := range []string{"docs/quick-start.md", "docs/connections.md", "examples/connections.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), sandbox.DefaultKey) {
			t.Errorf("%s does not name the key of the sandbox, %s", file, sandbox.DefaultKey)
		}
	}
}

// declares reports whether a test file of a folder has a function.
func declares(t *testing.T, folder, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "\nfunc "+function+"(")
	})
}

// TestLinksOfTheDocs wants every link between the pages to lead somewhere.
func TestLinksOfTheDocs(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(l[1], "://") || strings.HasPrefix(l[1], "mailto:") {
				continue
			}
			target := page
			if l[1] != "" {
				target = filepath.Join(filepath.Dir(page), l[1])
			}
			to, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr != nil || err != nil && !info.IsDir() {
				t.Errorf("%s: a link leads to %s, which is not there", page, l[1])
				continue
			}
			if l[2] != "" && !anchors(string(to))[l[2][1:]] {
				t.Errorf("%s: %s has no heading %s", page, l[1], l[2])
			}
		}
	}
}

// anchors are the names by which a page's headings can be linked to.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, line := range strings.Split(page, "\n") {
		if title := strings.TrimLeft(line, "#"); title != line {
			name := strings.ToLower(strings.TrimSpace(title))
			out[regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ReplaceAll(name, " ", "-"), "")] = true
		}
	}
	return out
}

// namesTests wants what a "go test" command names to exist.
func (r *reader) namesTests(words []string) {
	r.t.Helper()
	var packages []string
	patterns := map[string]string{"-run": "Test", "-fuzz": "Fuzz", "-bench": "Benchmark"}
	wanted := map[string]string{}
	for i, word := range words {
		word = strings.Trim(word, "'")
		if strings.HasPrefix(word, "./") {
			packages = append(packages, word)
		}
		if kind := patterns[word]; kind != "" && i+1 < len(words) {
			if p := strings.Trim(words[i+1], "'"); p != "^$" {
				wanted[kind] = p
			}
		}
	}
	for _, p := range packages {
		folder := filepath.Join(repository, strings.TrimSuffix(p, "..."))
		if _, err := os.Stat(folder); err != nil {
			r.t.Error(err)
		}
		files, _ := filepath.Glob(filepath.Join(folder, "*_test.go"))
		var source strings.Builder
		for _, f := range files {
			text, _ := os.ReadFile(f)
			source.Write(text)
		}
		for kind, pattern := range wanted {
			found := false
			for _, f := range regexp.MustCompile(`(?m)^func (`+kind+`\w+)\(`).FindAllStringSubmatch(source.String(), -1) {
				found = found || regexp.MustCompile(pattern).MatchString(f[1])
			}
			if !found {
				r.t.Errorf("%s has no %s… that %s matches", p, kind, pattern)
			}
		}
	}
}
