package deploy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"iterable-segment-export/schemas"
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

// TestEveryWaitIsExplained: each type of error that makes a run wait for a person has a line in
// the runbook: what it means, what to type, and how to see that it worked.
func TestEveryWaitIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "schemas", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	waits := []schemas.ErrorType{schemas.ErrorGuardrail, schemas.ErrorNotReady}
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			value, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if value != schemas.ErrorSuppressionChanged { // the run starts over by itself
				waits = append(waits, value)
			}
		}
		break // the first group has them
	}
	if len(waits) < 20 {
		t.Fatalf("found only %v", waits)
	}
	runbook := page(t, "operating.md")
	for _, kind := range waits {
		if !regexp.MustCompile("(?m)^\\| (`\\w+`, )*`" + kind + "`(, `\\w+`)*: [^|]+\\|[^|]+\\|[^|]+\\|$").MatchString(runbook) {
			t.Errorf("docs/operating.md does not say what to do about a run that waits because of %s", kind)
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

// TestTheJobOfTheWorkers has the name that the rule WorkerDown asks for, wherever Prometheus is
// configured.
func TestTheJobOfTheWorkers(t *testing.T) {
	config := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, "examples", "grafana", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	job := regexp.MustCompile(`up\{job="([^"]+)"\}`).FindStringSubmatch(config("alerts.yaml"))
	if job == nil {
		t.Fatal("WorkerDown names no job")
	}
	for name, text := range map[string]string{
		"docker-compose.yml": project(t).Configs["prometheus"].Content,
		"prometheus.yaml":    config("prometheus.yaml"), "prometheus-kubernetes.yaml": config("prometheus-kubernetes.yaml"),
	} {
		var file struct {
			Scrape []struct {
				Job string `yaml:"job_name"`
			} `yaml:"scrape_configs"`
		}
		if err := yaml.Unmarshal([]byte(text), &file); err != nil || len(file.Scrape) != 1 || file.Scrape[0].Job != job[1] {
			t.Errorf("%s: %+v, %v; want the job %s", name, file, err, job[1])
		}
	}
	if text := page(t, "observability.md"); !strings.Contains(text, "named `"+job[1]+"`") {
		t.Error("docs/observability.md does not name the job")
	}
}

// TestTheAlertRules has Prometheus's own tool check the rules and run their tests.
func TestTheAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; it is in Debian's package prometheus")
	}
	for _, args := range []string{"check rules alerts.yaml", "test rules alerts_test.yaml", "check config prometheus.yaml"} {
		cmd := exec.CommandContext(t.Context(), promtool, strings.Fields(args)...)
		cmd.Dir = filepath.Join(root, "examples", "grafana")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
}
