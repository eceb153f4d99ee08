//go:build unix

package activities

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/ledger"
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
		b.Run(variant, func(b *testing.B) {
			stage := benchStage(b, variant)
			for b.Loop() {
				stage()
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkWhoIsSent stages with a condition, a kept suppression list, the record, and all three,
// each in turn with a plain staging, so that all have the same share of a machine that others
// use. It reports the seconds of CPU for each, and in percent what each costs more than plain: the
// medians of the rounds.
func BenchmarkWhoIsSent(b *testing.B) {
	variants := []string{"plain", "where all match", "suppression", "record", "together"}
	stage, spent := map[string]func(){}, map[string][]float64{}
	for _, variant := range variants {
		stage[variant] = benchStage(b, variant)
		stage[variant]() // memory that later ones use again
	}
	for first := 0; b.Loop(); first++ {
		for k := range variants {
			variant := variants[(first+k)%len(variants)] // what one leaves behind costs the next one
			runtime.GC()
			before := cpuSeconds(b)
			stage[variant]()
			spent[variant] = append(spent[variant], cpuSeconds(b)-before)
		}
	}
	for _, variant := range variants {
		name := strings.Fields(variant)[0]
		b.ReportMetric(median(spent[variant]), name+"-cpu-s")
		if name != "plain" {
			b.ReportMetric(100*(median(spent[variant])/median(spent["plain"])-1), name+"-%")
		}
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}

// cpuSeconds returns the processor time that this process has used.
func cpuSeconds(b *testing.B) float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

const benchRows = 1_000_000

// benchStage returns a function that stages benchRows rows once.
func benchStage(b *testing.B, variant string) func() {
	w := newBench(b, sandbox.New(sandbox.Config{Fast: true}))
	dir := b.TempDir()
	if _, err := generate.Segment(b.Context(), generate.Options{Rows: benchRows, Out: dir, Seed: 1}); err != nil {
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
	return func() {
		w.lists = lists.Cache{}
		if variant == "suppression from its source" {
			if err := w.Root.DeletePrefix(b.Context(), dataroot.SuppressionDir); err != nil {
				b.Fatal(err)
			}
		}
		if segment.Divided() {
			stageDivided(b, w, in, seg)
			return
		}
		var read atomic.Int64
		m, err := w.Activities.stage(b.Context(), in, ledgertest.Attempt, staging.Source{Segment: seg}, &read)
		if err != nil || m.Read != benchRows {
			b.Fatalf("%+v, %v", m, err)
		}
		if export.Record == schemas.RecordNone {
			return
		}
		answer(b, w, run, m)
		if _, err := record.Publish(b.Context(), w.Ledger(), run, export, ledgertest.Attempt); err != nil {
			b.Fatal(err)
		}
	}
}

// answer writes Iterable's answers to all batches of additions, which were sent four in a request.
func answer(b *testing.B, w *bench, run schemas.RunRef, m schemas.Manifest) {
	in := schemas.UploadInput{Run: run, Attempt: ledgertest.Attempt, Kind: schemas.Subscribe, End: m.AddBatches}
	var requests []ledger.Request
	for k := range m.AddBatches {
		if k%4 == 0 {
			requests = append(requests, ledger.Request{At: time.Now()})
		}
		last := &requests[len(requests)-1]
		last.Batches = append(last.Batches, k)
	}
	if err := w.Ledger().WriteAnswered(b.Context(), in, ledgertest.Attempt, schemas.UploadProgress{Next: m.AddBatches}, requests...); err != nil {
		b.Fatal(err)
	}
}
