package runs

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/goccy/go-yaml"

	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

const grafana = "../../../examples/grafana"

// expressions are all PromQL that the dashboard and the alerts hold.
func expressions(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query any }
		}
	}
	var alerts struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	for name, into := range map[string]func([]byte) error{
		"dashboard.json": func(b []byte) error { return json.Unmarshal(b, &dashboard) },
		"alerts.yaml":    func(b []byte) error { return yaml.Unmarshal(b, &alerts) },
	} {
		data, err := os.ReadFile(filepath.Join(grafana, name))
		if err == nil {
			err = into(data)
		}
		if err != nil {
			t.Fatal(name, err)
		}
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			values := regexp.MustCompile(`^label_values\((\w+), \w+\)$`).FindStringSubmatch(q["query"].(string))
			if values == nil {
				t.Fatalf("the dashboard asks %v", q)
			}
			all = append(all, values[1])
		}
	}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	return all
}

// named are the metrics that an expression names.
func named(t *testing.T, expression string) (names []string) {
	t.Helper()
	for grafana, value := range map[string]string{"$__rate_interval": "5m", "$__range": "6h", "$export": ".*"} {
		expression = strings.ReplaceAll(expression, grafana, value)
	}
	parsed, err := metricsql.Parse(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			for _, f := range filters {
				if f.Label == "__name__" {
					names = append(names, f.Value)
				}
			}
		}
	})
	return names
}

// TestEveryMetricThatGrafanaAsksForExists runs an export with some trouble and
// looks for what the dashboard and the alerts name.
func TestEveryMetricThatGrafanaAsksForExists(t *testing.T) {
	t.Parallel()
	metrics, err := observe.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, sandbox.Config{}, false)
	w.Metrics = metrics
	w.Client, err = dial.Temporal(t.Context(), dial.Options{Address: w.Stack.FrontendAddr(), Metrics: metrics.Temporal(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Client.Close)
	w.StartHost()
	expected := w.Generated(2000)
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: status, Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	// A look for the list gives up, and is repeated by Temporal.
	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists", Kind: "status", Status: http.StatusInternalServerError, Skip: 1, Count: 5}); err != nil {
		t.Fatal(err)
	}
	metrics.Late(schemas.LateRuns{Exports: map[string]schemas.Watched{"Observed": {}}}, time.Hour) // the look itself comes minutes later
	w.Key(true)                                                                                    // a step fails and waits for an operator
	v := w.Run(w.Export("Observed", "EmailAddress"))
	w.Waiting(v)
	scrape := func() string {
		answer := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	w.Until("the wait is counted", func() bool { return strings.Contains(scrape(), `export_waits{export="Observed"} 1`) })
	text := scrape()
	w.Key(false)
	w.Done(w.Answer(v, schemas.UpdateRetry))
	w.Until("nothing waits", func() bool { return !strings.Contains(scrape(), "export_waits{") })
	text += scrape()
	for _, expression := range expressions(t) {
		names := named(t, expression)
		if len(names) == 0 {
			t.Errorf("%s names no metric", expression)
		}
		for _, name := range names {
			if name == "up" {
				continue // Prometheus's own
			}
			if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(text) {
				t.Errorf("%s: the worker has no metric %s", expression, name)
			}
		}
	}
	for _, want := range []string{
		"worker_ready 1",
		`export_profiles_total{export="Observed",outcome="sent"} ` + strconv.FormatInt(expected.Valid, 10),
		`export_rejects_total{reason="no_tld"} `,
		`iterable_requests_total{endpoint="POST lists/subscribe",status="429"} 1`,
		`iterable_requests_total{endpoint="POST lists/subscribe",status="500"} 1`,
		`export_run_seconds_count{export="Observed",state="done"} 1`,
		`iterable_rate_limit{connection="sandbox",endpoint="subscribe"} `,
		`iterable_learned_requests_per_second{connection="sandbox",endpoint="subscribe"} `,
		`iterable_learned_profiles_per_request{connection="sandbox",endpoint="subscribe"} `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	w.Host.Stop()
	if !strings.Contains(scrape(), "worker_ready 0") {
		t.Error("a worker that was stopped is ready")
	}
	if strings.Contains(text, "@") || strings.Contains(text, sandbox.DefaultKey) {
		t.Error("a metric holds an address or the key")
	}
}
