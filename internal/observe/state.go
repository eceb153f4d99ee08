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
// export's workflows wait for a person. Each scrape calls waiting, which returns them by
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
	_, err = m.meter().RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		found, err := waiting(ctx)
		if err != nil {
			o.ObserveInt64(ready, 0)
			return nil // the gauge shows it
		}
		o.ObserveInt64(ready, 1)
		labelled := map[string]int64{}
		for export, n := range found {
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
