package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"iterable-segment-export/schemas"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(answer.Result().Body)
	if err != nil || answer.Code != http.StatusOK {
		t.Fatal(answer.Code, err)
	}
	return string(text)
}

func TestLabelsAreOfABoundedNumber(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	for i := range mostExports + 20 {
		m.Profiles(t.Context(), fmt.Sprint("export ", i), Sent, 1)
	}
	text := scrape(t, m)
	if n := strings.Count(text, "export_profiles_total{"); n != mostExports+1 {
		t.Errorf("%d series of %d exports, want %d", n, mostExports+20, mostExports+1)
	}
	if !strings.Contains(text, `export_profiles_total{export="(other)",outcome="sent"} 20`) {
		t.Error("those above the bound are not counted together")
	}
}

// TestTrialsAreNotCounted, so that they don't look like runs of an export.
func TestTrialsAreNotCounted(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, export := range []string{"Spring", schemas.TrialName("Spring")} {
		m.Profiles(t.Context(), export, Sent, 1)
		m.Rejects(t.Context(), export, map[schemas.Reason]int64{schemas.ReasonSyntax: 1})
		m.Looked(t.Context(), export, true)
		m.Run(t.Context(), export, schemas.StateFailed, time.Second)
	}
	text := scrape(t, m)
	if strings.Contains(text, "(trial)") || !strings.Contains(text, `export_rejects_total{reason="syntax"} 1`) {
		t.Errorf("the metrics have\n%s", text)
	}
}

func TestEndpointsHoldNoIDs(t *testing.T) {
	for path, want := range map[string]string{
		"/api/lists":            "GET lists",
		"/api/lists/12345/size": "GET lists/{id}/size",
		"/api/users/getFields":  "GET users/getFields",
	} {
		if got := Endpoint(httptest.NewRequest(http.MethodGet, path, nil)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestARequestIsPartOfATrace looks at the span of a request, and that Iterable is
// not told of it.
func TestARequestIsPartOfATrace(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	var headers http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers = r.Header }))
	defer server.Close()
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Transport: m.Transport(http.DefaultTransport, provider)}
	ctx, parent := provider.Tracer("test").Start(t.Context(), "activity")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/lists/subscribe", strings.NewReader(`{"email":"ann@example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Api-Key", "secret")
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	parent.End()
	all := spans.GetSpans()
	if len(all) != 2 || all[0].Name != "Iterable POST lists/subscribe" || all[0].Parent.SpanID() != parent.SpanContext().SpanID() {
		t.Fatalf("%+v", all)
	}
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, "secret") || strings.Contains(text, "ann@") {
		t.Error("a span holds the key or an address")
	}
	if headers.Get("Traceparent") != "" {
		t.Error("Iterable is told of the trace")
	}
	if text := scrape(t, m); !strings.Contains(text, `iterable_requests_total{endpoint="POST lists/subscribe",status="200"} 1`) {
		t.Error("the request is not counted")
	}
}

func TestWithoutAnEndpointThereAreNoTraces(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	traces, err := NewTraces(t.Context(), "worker", "dev")
	if err != nil || traces != nil || traces.Provider() != nil || traces.Close(t.Context()) != nil {
		t.Error(traces, err)
	}
}

// TestAScrapeMayMakeAnInstrument: the SDK makes one when a call to Temporal fails for the first
// time, which may be the call that a scrape makes.
func TestAScrapeMayMakeAnInstrument(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = m.Ask(func(context.Context) (State, error) {
		m.Temporal().Counter("temporal_request_failure").Inc(1)
		if calls++; calls == 1 {
			return State{}, errors.New("no answer")
		}
		return State{Waits: map[string]int64{"Spring": 2}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"worker_ready 0", `export_waits{export="Spring"} 2`} {
		answer := make(chan string, 1)
		go func() { answer <- scrape(t, m) }()
		select {
		case got := <-answer:
			if !strings.Contains(got, want) || !strings.Contains(got, "temporal_request_failure ") {
				t.Errorf("no %s in:\n%s", want, got)
			}
		case <-time.After(time.Minute):
			t.Fatal("the scrape hangs")
		}
	}
}

// TestTheLastLookIsMeasured: workers that get no tasks don't look, although Temporal answers.
func TestTheLastLookIsMeasured(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	var state State
	if err := m.Ask(func(context.Context) (State, error) { return state, nil }); err != nil {
		t.Fatal(err)
	}
	if text := scrape(t, m); strings.Contains(text, "export_looked_seconds ") || !strings.Contains(text, "worker_ready 1") {
		t.Errorf("before the looks are scheduled:\n%s", text)
	}
	state.Looked = time.Now().Add(-time.Hour)
	var age float64
	_, after, _ := strings.Cut(scrape(t, m), "\nexport_looked_seconds ")
	if _, err := fmt.Sscan(after, &age); err != nil || age < 3600 || age > 7200 {
		t.Errorf("%f, %v", age, err)
	}
}

// TestLateExportsAreMeasured: the alerts look at the series of each export and reason.
func TestLateExportsAreMeasured(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	found := schemas.LateRuns{Exports: map[string]schemas.Watched{"Spring": {Overdue: time.Now()}, "Autumn": {Slow: "run"}, "Winter": {Undone: true}}}
	m.Late(found, time.Hour)
	text := scrape(t, m)
	for _, want := range []string{
		`{export="Spring",reason="overdue"} 1`, `{export="Spring",reason="slow"} 0`, `{export="Autumn",reason="overdue"} 0`, `{export="Autumn",reason="slow"} 1`,
		`{export="Winter",reason="undone"} 1`, `{export="Winter",reason="overdue"} 0`, `{export="Spring",reason="undone"} 0`,
	} {
		if !strings.Contains(text, "export_late"+want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	if m.Late(found, 0); strings.Contains(scrape(t, m), "export_late{") {
		t.Error("a look that is too old is still measured")
	}
}

// TestALateExportIsNotHidden by others that share its label, since there are too many exports.
func TestALateExportIsNotHidden(t *testing.T) {
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	found := schemas.LateRuns{Exports: map[string]schemas.Watched{}}
	for i := range mostExports {
		m.Run(t.Context(), fmt.Sprint("e", i), schemas.StateDone, time.Second)
		found.Exports[fmt.Sprint("later", i)] = schemas.Watched{}
	}
	found.Exports["late"] = schemas.Watched{Overdue: time.Now(), Slow: "run", Undone: true}
	m.Late(found, time.Hour)
	text := scrape(t, m)
	for _, reason := range []string{schemas.EventOverdue, schemas.LateUndone, schemas.EventSlow} {
		if !strings.Contains(text, fmt.Sprintf(`export_late{export="(other)",reason=%q} 1`, reason)) {
			t.Errorf("no export is %s", reason)
		}
	}
}
