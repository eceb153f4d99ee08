package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
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
	// A callback must not ask Temporal: OpenTelemetry calls it under the lock that a new instrument
	// needs, and the SDK makes one when a call fails for the first time. Both would wait for ever,
	// and with them all calls of the worker.
	m.ask.Store(&waiting)
	err := m.gauge("worker_ready", "1 while the worker runs and reaches Temporal, else 0.", func(set setter) { set(number(m.waits.Load() != nil)) })
	if err != nil {
		return err
	}
	return m.gauge("export_waits", "Runs and segments of runs that wait for a person.", func(set setter) {
		found := m.waits.Load()
		if found == nil {
			return
		}
		labelled := map[string]int64{}
		for export, n := range *found {
			labelled[m.export(export)] += n
		}
		for export, n := range labelled {
			set(float64(n), attribute.String("export", export))
		}
	})
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
