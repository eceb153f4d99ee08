package activities

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/suppression/lists"
	"iterable-segment-export/schemas"
)

// BenchmarkStage stages a segment with eight fields for a list that nobody is on: plainly; with
// a suppression list of a million, read from its source and as kept from the run before, also of
// rows with both identifiers, which are read twice then; with the record of changed rows, which
// is the default, and of all, written as at the end of a run; with rows chosen by a condition and
// by dedupe; divided among two lists, which are staged one after the other; and with a condition,
// a kept suppression list and the record together.
func BenchmarkStage(b *testing.B) {
	for _, variant := range []string{"plain", "suppression", "suppression from its source", "both identifiers", "both identifiers, suppression", "record", "record all", "together", "where all match", "where some match", "dedupe", "split"} {
		b.Run(variant, func(b *testing.B) { benchmarkStage(b, variant) })
	}
}

func benchmarkStage(b *testing.B, variant string) {
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
	export.Record = schemas.RecordNone
	segment := schemas.Segment{Name: "Staged", Source: dir}
	connection := schemas.Connection{Name: "sandbox", AllowedSources: []string{dir}}
	if strings.HasPrefix(variant, "both identifiers") {
		export.UserID = "CustomerId"
	}
	switch variant {
	case "suppression", "suppression from its source", "both identifiers, suppression", "together":
		never := b.TempDir()
		var people []identity
		for i := range 1_000_000 {
			people = append(people, identity{email: fmt.Sprintf("never.%d@example.com", i)})
		}
		writeIdentities(b, filepath.Join(never, "never.arrow"), people)
		connection.Suppress = []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}
		w.Now = func() time.Time { return time.Now().Add(time.Hour) } // the list has not just been written
	case "record all":
		export.Record = schemas.RecordAll
	}
	if variant == "record" || variant == "together" {
		export.Record = schemas.RecordChanges
	}
	switch variant {
	case "where all match", "together": // Points is not mapped
		yes := true
		segment.Where = &schemas.Condition{All: []schemas.Condition{
			{Any: []schemas.Condition{{Column: "Points", AtLeast: "-1"}, {Column: "Points", IsNull: &yes}}},
			{Any: []schemas.Condition{{Column: "Country", NotIn: []schemas.Literal{`"XX"`, `"YY"`}}, {Column: "Country", IsNull: &yes}}},
		}}
	case "where some match":
		segment.Where = &schemas.Condition{Column: "Age", LessThan: "30"}
	case "dedupe":
		export.Dedupe = schemas.Dedupe{By: "LastPurchase", Keep: schemas.KeepNewest}
	case "split":
		segment.Split = &schemas.Split{Groups: map[string]string{"A": "50%", "B": "50%"}}
	}
	w.Connections = oneConnection{connection}
	run := schemas.RunRef{Export: "Staged", Segment: "Staged", RunID: "0192d0a0-0000-7000-8000-000000000000"}
	seg, err := w.inspect(b.Context(), export, segment, time.Now(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	in := schemas.StageInput{
		Run: run, Export: export, Segment: segment,
		Connection: schemas.ConnectionInfo{Name: "sandbox"}, Info: seg.Info(), ListID: 1,
	}
	if variant != "suppression from its source" && connection.Suppress != nil {
		if _, _, _, err := w.suppressionReader().Read(b.Context(), connection); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		w.lists = lists.Cache{}
		if variant == "suppression from its source" {
			if err := w.Root.DeletePrefix(b.Context(), dataroot.SuppressionDir); err != nil {
				b.Fatal(err)
			}
		}
		var read atomic.Int64
		if segment.Divided() {
			stageDivided(b, w, in, seg)
			continue
		}
		m, err := w.Activities.stage(b.Context(), in, ledgertest.Attempt, staging.Source{Segment: seg}, &read)
		if err != nil || m.Read != rows {
			b.Fatalf("%+v, %v", m, err)
		}
		if _, err := record.Publish(b.Context(), w.Ledger(), run, export, ledgertest.Attempt); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
