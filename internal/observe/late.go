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

// Late sets which exports are overdue, not done or slow. It holds for some time only: the next look
// may be another worker's.
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
	return m.gauge("export_late", "1 for an export whose run is overdue or unusually slow, or that was not done for an interval of its schedule, 0 for others with an active schedule.", func(set setter) {
		m.late.mu.Lock()
		found, until := m.late.found, m.late.until
		m.late.mu.Unlock()
		if time.Now().After(until) {
			return
		}
		late := map[[2]string]bool{} // by the labels, which several exports may share
		for name, w := range found.Exports {
			export := m.export(name)
			for reason, is := range map[string]bool{schemas.EventOverdue: !w.Overdue.IsZero(), schemas.LateUndone: w.Undone, schemas.EventSlow: w.Slow != ""} {
				key := [2]string{export, reason}
				late[key] = late[key] || is
			}
		}
		for key, is := range late {
			set(number(is), attribute.String("export", key[0]), attribute.String("reason", key[1]))
		}
	})
}
