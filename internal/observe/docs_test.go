package observe

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// instrument matches the name of a metric where it is made.
	instrument = regexp.MustCompile(`"((?:export|iterable|worker)_[a-z_]+)"`)
	// metricRow matches the row of one in docs/observability.md.
	metricRow = regexp.MustCompile("(?m)^\\| `((?:export|iterable|worker)_[a-z_]+)` \\|")
)

// TestEveryMetricHasARow compares the metrics that are made here with the table that explains
// them, in which counters end in _total and histograms in _seconds.
func TestEveryMetricHasARow(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range instrument.FindAllStringSubmatch(string(source), -1) {
			made = append(made, m[1])
		}
	}
	page, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := metricRow.FindAllStringSubmatch(string(page), -1)
	if len(made) == 0 || len(rows) == 0 {
		t.Fatalf("%d metrics and %d rows were read", len(made), len(rows))
	}
	for _, m := range rows {
		i := slices.IndexFunc(made, func(name string) bool { return m[1] == name || m[1] == name+"_total" || m[1] == name+"_seconds" })
		if i < 0 {
			t.Errorf("docs/observability.md explains the metric %s, which does not exist", m[1])
			continue
		}
		made = slices.Delete(made, i, i+1)
	}
	if len(made) > 0 {
		t.Errorf("docs/observability.md lacks %q", made)
	}
}
