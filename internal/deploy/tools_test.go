package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsSkippedIsPrinted: tests that need a program are skipped without it, which go test does
// not show. So .ci/run prints a line for each such program that is not installed.
func TestWhatIsSkippedIsPrinted(t *testing.T) {
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(ci), "<<'EOF'\n")
	table, _, _ := strings.Cut(after, "\nEOF\n")
	var printed []string
	for line := range strings.Lines(table) {
		program, checks, _ := strings.Cut(line, " ")
		if printed = append(printed, program); checks == "" {
			t.Errorf(".ci/run does not say what is skipped without %s", program)
		}
	}
	needed := map[string]bool{}
	one := regexp.MustCompile(`exec\.LookPath\("([^"]+)"\)`)
	several := regexp.MustCompile(`range \[\]string\{([^}]+)\} \{\n\s*if _, err := exec\.LookPath\(`)
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range one.FindAllStringSubmatch(string(text), -1) {
			needed[m[1]] = true
		}
		for _, m := range several.FindAllStringSubmatch(string(text), -1) {
			for program := range strings.SplitSeq(m[1], ", ") {
				needed[strings.Trim(program, `"`)] = true
			}
		}
		return err
	})
	if err != nil || len(needed) < 10 {
		t.Fatalf("tests need %v, %v", needed, err)
	}
	for program := range needed {
		if !slices.Contains(printed, program) {
			t.Errorf(".ci/run does not say what is skipped without %s", program)
		}
	}
	for _, program := range printed {
		if !needed[program] {
			t.Errorf("no test needs %s, which .ci/run names", program)
		}
	}
}
