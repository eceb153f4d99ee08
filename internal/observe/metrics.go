// Package observe exports a worker's metrics for Prometheus and its traces for OpenTelemetry.
// Neither has personal data: labels are names of exports, connections, endpoints, reasons and
// states, each of a bounded number.
package observe

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"iterable-segment-export/schemas"
)

// Outcomes of a profile, the values of the label "outcome".
const (
	Sent      = "sent"      // accepted by Iterable
	Removed   = "removed"   // removed from the list
	Unchanged = "unchanged" // same as at the last run, so not sent
	Rejected  = "rejected"  // not sent, or refused by Iterable
	Duplicate = "duplicate" // another row has the same address
	Filtered  = "filtered"  // does not match the segment's condition
	// Suppressed profiles are on a suppression list of the connection.
	Suppressed = "suppressed"
)

// mostExports is the maximum of exports with a label of their own; later ones share one.
const mostExports = 500

// Metrics are the project's metrics. Its methods do nothing on a nil Metrics.
type Metrics struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider

	profiles, rejects, requests, looks metric.Int64Counter

	latency, runs metric.Float64Histogram

	late lateRuns

	ask   atomic.Pointer[func(context.Context) (State, error)]
	state atomic.Pointer[State] // nil if the worker is not ready

	mu      sync.Mutex
	exports map[string]bool
}

// Bounds of the histograms' buckets, in seconds: of a request, up to the minute
// that Iterable may take; of a run, up to a day.
var (
	requestSeconds = []float64{0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60}
	runSeconds     = []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
)

// NewMetrics returns the metrics, with those of the Go runtime, the process and Temporal's SDK.
func NewMetrics() (*Metrics, error) {
	m := &Metrics{registry: prometheus.NewRegistry(), exports: map[string]bool{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(m.registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("export metrics: %w", err)
	}
	m.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	meter := m.meter()
	for name, c := range map[string]struct {
		counter *metric.Int64Counter
		says    string
	}{
		"export_profiles":   {&m.profiles, "Profiles by what became of them."},
		"export_rejects":    {&m.rejects, "Rows that were not sent, by reason."},
		"export_data_looks": {&m.looks, "Looks at a segment's data before it is read, by whether it was ready."},
		"iterable_requests": {&m.requests, "Requests to Iterable by endpoint and HTTP status; \"error\" where there was no answer."},
	} {
		if *c.counter, err = meter.Int64Counter(name, metric.WithDescription(c.says)); err != nil {
			return nil, fmt.Errorf("make the metric %s: %w", name, err)
		}
	}
	m.latency, err = meter.Float64Histogram("iterable_request", metric.WithUnit("s"),
		metric.WithDescription("Time that a request to Iterable took."), metric.WithExplicitBucketBoundaries(requestSeconds...))
	if err == nil {
		m.runs, err = meter.Float64Histogram("export_run", metric.WithUnit("s"),
			metric.WithDescription("Time that a run took, by how it ended."), metric.WithExplicitBucketBoundaries(runSeconds...))
	}
	if err != nil {
		return nil, fmt.Errorf("make a histogram: %w", err)
	}
	return m, m.observeLate()
}

func (m *Metrics) meter() metric.Meter { return m.provider.Meter("iterable-segment-export") }

// Handler returns the handler for Prometheus.
func (m *Metrics) Handler() http.Handler {
	metrics := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.askTemporal(r.Context())
		metrics.ServeHTTP(w, r)
	})
}

// Temporal returns the handler for the metrics of Temporal's SDK.
func (m *Metrics) Temporal() client.MetricsHandler {
	if m == nil {
		return nil
	}
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{Meter: m.meter()})
}

// Profiles counts profiles of an export.
func (m *Metrics) Profiles(ctx context.Context, export, outcome string, n int64) {
	if m == nil || n == 0 || schemas.IsTrial(export) {
		return
	}
	m.profiles.Add(ctx, n, metric.WithAttributes(attribute.String("export", m.export(export)), attribute.String("outcome", outcome)))
}

// Rejects counts rows of an export that are not sent.
func (m *Metrics) Rejects(ctx context.Context, export string, byReason map[schemas.Reason]int64) {
	if m == nil || schemas.IsTrial(export) {
		return
	}
	for reason, n := range byReason {
		m.rejects.Add(ctx, n, metric.WithAttributes(attribute.String("reason", string(reason))))
		m.Profiles(ctx, export, Rejected, n)
	}
}

// Looked counts a look at the data of one of the export's segments.
func (m *Metrics) Looked(ctx context.Context, export string, ready bool) {
	if m == nil || schemas.IsTrial(export) {
		return
	}
	m.looks.Add(ctx, 1, metric.WithAttributes(attribute.String("export", m.export(export)), attribute.Bool("ready", ready)))
}

// Run counts a run that has ended in one of schemas' states.
func (m *Metrics) Run(ctx context.Context, export, state string, took time.Duration) {
	if m == nil || schemas.IsTrial(export) {
		return
	}
	m.runs.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("export", m.export(export)), attribute.String("state", state)))
}

// Rate is the pace of one endpoint of a connection, in requests a second: this
// worker's, and that of all workers; and the profiles that one request carries.
type Rate struct {
	Connection, Endpoint string
	PerSecond, All       float64
	Profiles             int
}

// Rates registers the gauges of the paces, which each iterates over at every scrape.
func (m *Metrics) Rates(rates func(yield func(Rate))) error {
	if m == nil {
		return nil
	}
	for _, g := range []struct {
		name, says string
		of         func(Rate) float64
	}{
		{"iterable_rate_limit", "Requests a second that the worker allows itself now.", func(r Rate) float64 { return r.PerSecond }},
		{"iterable_learned_requests_per_second", "Requests a second that all workers together allow themselves, by what was learned.", func(r Rate) float64 { return r.All }},
		{"iterable_learned_profiles_per_request", "The most profiles that one request has carried.", func(r Rate) float64 { return float64(r.Profiles) }},
	} {
		err := m.gauge(g.name, g.says, func(set setter) {
			rates(func(r Rate) {
				set(g.of(r), attribute.String("connection", r.Connection), attribute.String("endpoint", r.Endpoint))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setter sets the value of a gauge for a combination of labels.
type setter func(v float64, labels ...attribute.KeyValue)

// gauge makes a gauge. At every scrape, observe sets all its values.
func (m *Metrics) gauge(name, says string, observe func(setter)) error {
	_, err := m.meter().Float64ObservableGauge(name, metric.WithDescription(says), metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
		observe(func(v float64, labels ...attribute.KeyValue) { o.Observe(v, metric.WithAttributes(labels...)) })
		return nil
	}))
	if err != nil {
		return fmt.Errorf("make the metric %s: %w", name, err)
	}
	return nil
}

// number returns 1 for true and 0 for false.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// export returns the label of an export.
func (m *Metrics) export(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.exports[name] {
		if len(m.exports) >= mostExports {
			return "(other)"
		}
		m.exports[name] = true
	}
	return name
}
