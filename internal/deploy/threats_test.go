package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheThreatTableNamesTests: what docs/security.md and docs/access.md say that people
// can't do, a test tries, and each row of the table names one.
func TestTheThreatTableNamesTests(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, f := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(text), -1) {
			there[f[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`")
	rows := 0
	for _, page := range []string{"docs/security.md", "docs/access.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range named.FindAllStringSubmatch(string(text), -1) {
			if !there[test[1]] {
				t.Errorf("%s names %s, and there is no such test", page, test[1])
			}
		}
		for _, row := range regexp.MustCompile(`(?m)^\| (1|2|3|2, 3|nobody) \|.*$`).FindAllString(string(text), -1) {
			if rows++; !named.MatchString(row) {
				t.Errorf("no test tries: %s", row)
			}
		}
	}
	if rows < 25 {
		t.Errorf("the table has %d rows", rows)
	}
}
