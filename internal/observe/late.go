package observe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"iterable-segment-export/schemas"
)

// lateRuns is what the last look for late runs found.
type lateRuns struct {
	mu    sync.Mutex
	found schemas.LateRuns
	until time.Time
}

// Late sets which exports are overdue or slow. It holds for some time only: the next look may be
// another worker's.
func (m *Metrics) Late(found schemas.LateRuns, holds time.Duration) {
	if m == nil {
		return
	}
	m.late.mu.Lock()
	defer m.late.mu.Unlock()
	m.late.found, m.late.until = found, time.Now().Add(holds)
}

// observeLate registers the gauge of late exports.
func (m *Metrics) observeLate() error {
	gauge, err := m.meter().Int64ObservableGauge("export_late", metric.WithDescription("1 for an export whose run is overdue or unusually slow, 0 for others with an active schedule."))
	if err != nil {
		return fmt.Errorf("make the metric export_late: %w", err)
	}
	_, err = m.meter().RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.late.mu.Lock()
		found, until := m.late.found, m.late.until
		m.late.mu.Unlock()
		if time.Now().After(until) {
			return nil
		}
		for name, w := range found.Exports {
			for why, is := range map[string]bool{schemas.EventOverdue: !w.Overdue.IsZero(), schemas.EventSlow: w.Slow != ""} {
				var v int64
				if is {
					v = 1
				}
				o.ObserveInt64(gauge, v, metric.WithAttributes(attribute.String("export", m.export(name)), attribute.String("reason", why)))
			}
		}
		return nil
	}, gauge)
	if err != nil {
		return fmt.Errorf("observe late exports: %w", err)
	}
	return nil
}
