package observe

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// askTime bounds how long a scrape waits for Temporal.
const askTime = 5 * time.Second

// Waiting registers two gauges: whether the worker reaches Temporal, and how many of an
// export's workflows wait for a person. Each scrape calls waiting first, which returns them by
// export. All workers report the same numbers.
func (m *Metrics) Waiting(waiting func(context.Context) (map[string]int64, error)) error {
	if m == nil {
		return nil
	}
	ready, err := m.meter().Int64ObservableGauge("worker_ready", metric.WithDescription("1 while the worker runs and reaches Temporal, else 0."))
	if err != nil {
		return fmt.Errorf("make the metric worker_ready: %w", err)
	}
	waits, err := m.meter().Int64ObservableGauge("export_waits", metric.WithDescription("Runs and segments of runs that wait for a person."))
	if err != nil {
		return fmt.Errorf("make the metric export_waits: %w", err)
	}
	// A callback must not ask Temporal: OpenTelemetry calls it under the lock that a new instrument
	// needs, and the SDK makes one when a call fails for the first time. Both would wait for ever,
	// and with them all calls of the worker.
	m.ask.Store(&waiting)
	_, err = m.meter().RegisterCallback(func(_ context.Context, o metric.Observer) error {
		found := m.waits.Load()
		if found == nil {
			o.ObserveInt64(ready, 0)
			return nil
		}
		o.ObserveInt64(ready, 1)
		labelled := map[string]int64{}
		for export, n := range *found {
			labelled[m.export(export)] += n
		}
		for export, n := range labelled {
			o.ObserveInt64(waits, n, metric.WithAttributes(attribute.String("export", export)))
		}
		return nil
	}, ready, waits)
	if err != nil {
		return fmt.Errorf("observe what waits: %w", err)
	}
	return nil
}

// askWhatWaits asks Temporal for the values of Waiting's gauges. Without an answer they show that.
func (m *Metrics) askWhatWaits(ctx context.Context) {
	waiting := m.ask.Load()
	if waiting == nil {
		return
	}
	// Another scrape may be using the answer when the client of this one goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	found, err := (*waiting)(ctx)
	if err != nil {
		m.waits.Store(nil)
		return
	}
	m.waits.Store(&found)
}
