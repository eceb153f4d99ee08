package observe

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Transport measures the requests that go through it, and makes them part of the
// trace that their context belongs to. tracer may be nil.
func (m *Metrics) Transport(next http.RoundTripper, tracer trace.TracerProvider) http.RoundTripper {
	if tracer != nil {
		next = otelhttp.NewTransport(next, otelhttp.WithTracerProvider(tracer),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return "Iterable " + Endpoint(r) }))
	}
	if m == nil {
		return next
	}
	return &transport{metrics: m, next: next}
}

type transport struct {
	metrics *Metrics
	next    http.RoundTripper
}

// RoundTrip sends a request and measures the time until the answer's headers.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := t.next.RoundTrip(r)
	status := "error"
	if err == nil {
		status = strconv.Itoa(answer.StatusCode)
	}
	endpoint := attribute.String("endpoint", Endpoint(r))
	t.metrics.requests.Add(r.Context(), 1, metric.WithAttributes(endpoint, attribute.String("status", status)))
	t.metrics.latency.Record(r.Context(), time.Since(began).Seconds(), metric.WithAttributes(endpoint))
	return answer, err
}

// CloseIdleConnections closes the idle connections of the wrapped transport.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Endpoint names what a request asks for: its method and its path below /api,
// with an id in it as {id}.
func Endpoint(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	for i, p := range parts {
		if _, err := strconv.ParseInt(p, 10, 64); err == nil {
			parts[i] = "{id}"
		}
	}
	return r.Method + " " + strings.Join(parts, "/")
}
