package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// askTime bounds how long a scrape waits for Temporal.
const askTime = 5 * time.Second

// State is what Temporal knows at a scrape.
type State struct {
	// Waits counts the workflows that wait for a person, by export.
	Waits map[string]int64
	// Looked is when the last look for late runs ended, zero if they are not scheduled yet.
	Looked time.Time
}

// Ask registers three gauges: whether the worker serves its task queues and reaches Temporal, how
// many of an export's workflows wait for a person, and how long ago the last look for late runs
// ended. Each scrape calls ask first. All workers report the same but for the first.
func (m *Metrics) Ask(ask func(context.Context) (State, error)) error {
	if m == nil {
		return nil
	}
	// A callback must not ask Temporal: OpenTelemetry calls it under the lock that a new instrument
	// needs, and the SDK makes one when a call fails for the first time. Both would wait for ever,
	// and with them all calls of the worker.
	m.ask.Store(&ask)
	err := m.gauge("worker_ready", "1 while the worker serves its task queues and reaches Temporal, else 0.", func(set setter) { set(number(m.state.Load() != nil)) })
	if err != nil {
		return err
	}
	err = m.gauge("export_looked_seconds", "Time since the last look for late runs ended, which starts every five minutes.", func(set setter) {
		if found := m.state.Load(); found != nil && !found.Looked.IsZero() {
			set(max(0, time.Since(found.Looked).Seconds()))
		}
	})
	if err != nil {
		return err
	}
	return m.gauge("export_waits", "Runs and segments of runs that wait for a person.", func(set setter) {
		found := m.state.Load()
		if found == nil {
			return
		}
		labelled := map[string]int64{}
		for export, n := range found.Waits {
			labelled[m.export(export)] += n
		}
		for export, n := range labelled {
			set(float64(n), attribute.String("export", export))
		}
	})
}

// askTemporal asks for the values of Ask's gauges. Without an answer they show that.
func (m *Metrics) askTemporal(ctx context.Context) {
	ask := m.ask.Load()
	if ask == nil {
		return
	}
	// Another scrape may be using the answer when the client of this one goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	found, err := (*ask)(ctx)
	if err != nil {
		m.state.Store(nil)
		return
	}
	m.state.Store(&found)
}
