package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// rules are the alert rules of examples/grafana, by name.
func rules(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "examples", "grafana", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels struct{ Severity string }
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	severities := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			severities[r.Alert] = r.Labels.Severity
		}
	}
	return severities
}

// TestEveryAlertIsExplained: each alert has a line in the runbook, and one in the table of
// which alerts wake someone. Only critical ones do.
func TestEveryAlertIsExplained(t *testing.T) {
	runbook, table := page(t, "operating.md"), page(t, "observability.md")
	for alert, severity := range rules(t) {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + alert + "`[^|]*\\|[^|]+\\|[^|]+\\|[^|]+\\|$").MatchString(runbook) {
			t.Errorf("docs/operating.md does not say what to do about %s", alert)
		}
		line := regexp.MustCompile("(?m)^\\| `" + alert + "` \\| (\\w+) \\| (yes|no)").FindStringSubmatch(table)
		if line == nil || line[1] != severity || (line[2] == "yes") != (severity == "critical") {
			t.Errorf("docs/observability.md says of %s %q; its severity is %s", alert, line, severity)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\| (critical|warning|info) ").FindAllStringSubmatch(table, -1) {
		if rules(t)[m[1]] == "" {
			t.Errorf("docs/observability.md explains the alert %s, which does not exist", m[1])
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheAlertRules has Prometheus's own tool check the rules and run their tests.
func TestTheAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; it is in Debian's package prometheus")
	}
	for _, args := range []string{"check rules alerts.yaml", "test rules alerts_test.yaml"} {
		cmd := exec.CommandContext(t.Context(), promtool, strings.Fields(args)...)
		cmd.Dir = filepath.Join(root, "examples", "grafana")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
}
