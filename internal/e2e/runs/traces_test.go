package runs

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/sandbox"
)

// TestATraceGoesFromTheWorkflowToTheRequest runs an export with traces on, and
// follows the parents of a request's span.
func TestATraceGoesFromTheWorkflowToTheRequest(t *testing.T) {
	type span struct{ name, parent string }
	var mu sync.Mutex
	spans := map[string]span{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var in collector.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &in)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range in.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					spans[string(s.SpanId)] = span{s.Name, string(s.ParentSpanId)}
				}
			}
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	traces, err := observe.NewTraces(t.Context(), "test", "dev")
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, sandbox.Config{}, false)
	o := dial.Options{Address: w.Stack.FrontendAddr(), Log: slog.New(slog.DiscardHandler)}
	if o.Interceptors, err = traces.Interceptors(); err != nil {
		t.Fatal(err)
	}
	if w.Client, err = dial.Temporal(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Client.Close)
	w.Operator.Client, w.Tracer = w.Client, traces.Provider()
	w.StartHost()
	w.Generated(500)
	w.Done(w.Run(w.Export("Traced", "EmailAddress")))
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, s := range spans {
		if s.name != "Iterable POST lists/subscribe" {
			continue
		}
		var way []string
		for ok := true; ok; s, ok = spans[s.parent] {
			way = append(way, s.name)
		}
		if len(way) < 4 || way[1] != "RunActivity:UploadBatches" || way[len(way)-1] != "StartWorkflow:RunExport" {
			t.Errorf("the request's way up is %q", way)
		}
		return
	}
	t.Errorf("no span of a request among %d", len(spans))
}
