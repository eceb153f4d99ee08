package observe

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

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
	return m.gauge("export_late", "1 for an export whose run is overdue or unusually slow, 0 for others with an active schedule.", func(set setter) {
		m.late.mu.Lock()
		found, until := m.late.found, m.late.until
		m.late.mu.Unlock()
		if time.Now().After(until) {
			return
		}
		overdue, slow := map[string]bool{}, map[string]bool{} // by label, which several exports may share
		for name, w := range found.Exports {
			export := m.export(name)
			overdue[export] = overdue[export] || !w.Overdue.IsZero()
			slow[export] = slow[export] || w.Slow != ""
		}
		for export := range overdue {
			set(number(overdue[export]), attribute.String("export", export), attribute.String("reason", schemas.EventOverdue))
			set(number(slow[export]), attribute.String("export", export), attribute.String("reason", schemas.EventSlow))
		}
	})
}
