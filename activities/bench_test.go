package activities

import (
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// BenchmarkStage stages a segment with eight fields for a list that nobody is on.
func BenchmarkStage(b *testing.B) {
	const rows = 1_000_000
	w := newBench(b, sandbox.New(sandbox.Config{Fast: true}))
	dir := b.TempDir()
	if _, err := generate.Segment(b.Context(), generate.Options{Rows: rows, Out: dir, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	export := schemas.Export{Name: "Staged", Connection: "sandbox", Email: "EmailAddress"}
	for _, column := range []string{"FirstName", "LastName", "City", "Country", "Age", "LifetimeValue", "Subscribed", "CreatedAt"} {
		export.Fields.List = append(export.Fields.List, schemas.Field{Column: column})
	}
	w.Connections = oneConnection{schemas.Connection{Name: "sandbox", AllowedSources: []string{dir}}}
	run := schemas.RunRef{Export: "Staged", Segment: "Staged", RunID: "0192d0a0-0000-7000-8000-000000000000"}
	seg, err := w.inspect(b.Context(), export, schemas.Segment{Name: "Staged", Source: dir}, time.Now(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	in := schemas.StageInput{
		Run: run, Export: export, Segment: schemas.Segment{Name: "Staged", Source: dir},
		Connection: schemas.ConnectionInfo{Name: "sandbox"}, Info: seg.Info(), ListID: 1,
	}
	for b.Loop() {
		var read atomic.Int64
		m, err := w.Activities.stage(b.Context(), in, testAttempt, seg, &read)
		if err != nil || m.Read != rows {
			b.Fatalf("%+v, %v", m, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
