package activities

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// BenchmarkParts does each part of BenchmarkStage/plain alone, and reads the columns with Arrow's
// own reader for comparison.
func BenchmarkParts(b *testing.B) {
	const rows = 1_000_000
	dir := b.TempDir()
	if _, err := generate.Segment(b.Context(), generate.Options{Rows: rows, Out: dir, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	must := func(b *testing.B, err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	want := segment.Columns{Email: "EmailAddress"}
	for _, column := range []string{"FirstName", "LastName", "City", "Country", "Age", "LifetimeValue", "Subscribed", "CreatedAt"} {
		want.Fields.List = append(want.Fields.List, schemas.Field{Column: column})
	}
	seg, err := segment.Inspect(b.Context(), dir, want)
	must(b, err)
	var fields []mapping.Column
	for i, c := range seg.Columns {
		if c.Role == segment.Field {
			fields = append(fields, mapping.Column{Index: i, Name: c.Name, Type: c.Type})
		}
	}
	mapper, err := mapping.Compile(fields, mapping.Options{})
	must(b, err)
	var records []segment.Batch
	var profiles []batch.Profile
	for r, err := range seg.Read(b.Context(), segment.Options{}) {
		must(b, err)
		r.Retain()
		records = append(records, r)
	}
	read := func(b *testing.B) {
		for _, err := range seg.Read(b.Context(), segment.Options{}) {
			must(b, err)
		}
	}
	json := func(b *testing.B) {
		for _, r := range records {
			must(b, mapper.Bind(r))
			var row []byte
			for i := range int(r.NumRows()) {
				if row, _ = mapper.Append(row[:0], i); len(profiles) < rows {
					profiles = append(profiles, batch.Profile{DataFields: bytes.Clone(row)})
				}
			}
		}
	}
	addresses := func(b *testing.B) {
		at := 0
		for _, r := range records {
			column, err := segment.NewStringColumn(r.Column(0))
			must(b, err)
			for i := range int(r.NumRows()) {
				raw, _ := column.Bytes(i)
				profiles[at].Email, _ = email.Normalize(raw, profiles[at].Email[:0], email.Options{})
				profiles[at].Key = batch.KeyHash(profiles[at].Email, nil, schemas.ProjectEmail)
				at++
			}
		}
	}
	duplicates := func(b *testing.B) {
		d, err := snapshot.NewDiffer(b.Context(), nil, snapshot.Options{Rows: rows}, func(*snapshot.Profile, snapshot.Verdict) error { return nil })
		must(b, err)
		group := make([]snapshot.Profile, 256)
		for from := 0; from < rows; from += len(group) {
			group = group[:min(len(group), rows-from)]
			for i := range group {
				group[i].Key = profiles[from+i].Key
			}
			d.Expect(group)
			for i := range group {
				must(b, d.Add(&group[i]))
			}
		}
	}
	write := func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "staged"))
		must(b, err)
		w, err := batch.NewWriter(f, batch.Limits{Profiles: schemas.BatchProfiles, BodyBytes: 4 << 20}, batch.Options{})
		must(b, err)
		for _, p := range profiles {
			if err := w.Append(p); !errors.Is(err, batch.ErrNoIdentifier) {
				must(b, err)
			}
		}
		must(b, errors.Join(w.Close(), f.Close()))
	}
	json(b) // the others need its profiles, and their addresses
	addresses(b)
	for _, part := range []struct {
		name string
		do   func(*testing.B)
	}{{"arrow", func(b *testing.B) { readWithArrow(b, dir, want) }}, {"read", read}, {"json", json}, {"addresses", addresses}, {"duplicates", duplicates}, {"write", write}} {
		b.Run(part.name, func(b *testing.B) {
			for b.Loop() {
				part.do(b)
			}
		})
	}
}

func readWithArrow(b *testing.B, dir string, want segment.Columns) {
	b.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	for _, name := range names {
		var r *file.Reader
		if r, err = file.OpenParquetFile(name, false); err != nil {
			b.Fatal(err)
		}
		columns := []int{r.MetaData().Schema.ColumnIndexByName(want.Email)}
		for _, f := range want.Fields.List {
			columns = append(columns, r.MetaData().Schema.ColumnIndexByName(f.Column))
		}
		arrows, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 64 << 10, Parallel: true}, memory.DefaultAllocator)
		if err != nil {
			b.Fatal(err)
		}
		records, err := arrows.GetRecordReader(b.Context(), columns, nil)
		if err != nil {
			b.Fatal(err)
		}
		for records.Next() {
		}
		if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
		records.Release()
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err != nil || len(names) == 0 {
		b.Fatal(err)
	}
}
