package world

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/storage"
)

// Table writes a segment of one Arrow file and returns its folder. The rows are a record, or
// JSON as Arrow reads it.
func (w *World) Table(name string, fields []arrow.Field, rows any) (source string) {
	w.T.Helper()
	record, ok := rows.(arrow.Record)
	if !ok {
		var err error
		record, _, err = array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(rows.(string)))
		if err != nil {
			w.T.Fatal(err)
		}
	}
	defer record.Release()
	var file bytes.Buffer
	out := ipc.NewWriter(&file, ipc.WithSchema(record.Schema()))
	if err := out.Write(record); err != nil {
		w.T.Fatal(err)
	}
	if err := out.Close(); err != nil {
		w.T.Fatal(err)
	}
	source = filepath.Join(w.Sources, name)
	if err := os.MkdirAll(source, 0o700); err != nil {
		w.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "rows.arrow"), file.Bytes(), 0o600); err != nil {
		w.T.Fatal(err)
	}
	return source
}

// TextColumn is the type of a column of text.
var TextColumn = arrow.BinaryTypes.String

// People writes a segment of the profiles numbered first to last and of further addresses,
// with n in a column of all rows.
func (w *World) People(name string, first, last, n int, further ...string) (source string) {
	w.T.Helper()
	var rows []string
	for i := first; i <= last; i++ {
		rows = append(rows, fmt.Sprintf(`{"email": %q, "n": %d}`, Person(i), n))
	}
	for _, address := range further {
		rows = append(rows, fmt.Sprintf(`{"email": %q, "n": %d}`, address, n))
	}
	return w.Table(name, []arrow.Field{{Name: "email", Type: TextColumn}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}},
		"["+strings.Join(rows, ",")+"]")
}

// Person returns the address of the profile with that number.
func Person(i int) string { return fmt.Sprintf("p%03d@example.com", i) }

// Persons returns the addresses of the profiles numbered first to last.
func Persons(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, Person(i))
	}
	return all
}

// Invalid returns n addresses that can't be mailed.
func Invalid(n int) []string {
	return slices.Repeat([]string{"nobody@nowhere"}, n)
}

// Generated writes a segment, and returns the expected result of its export.
func (w *World) Generated(rows int64) generate.Expected {
	w.T.Helper()
	return w.Churned(rows, 0)
}

// Churned writes the segment again, with a share of its profiles replaced.
func (w *World) Churned(rows int64, churn float64) generate.Expected {
	w.T.Helper()
	expected, err := generate.Segment(w.T.Context(), generate.Options{
		Rows: rows, Out: w.Path("segments"), Format: "parquet", Files: 1, Bad: 0.02, Seed: 3, Churn: churn,
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return expected
}

// Versions writes two versions of a segment to two folders.
func (w *World) Versions(rows int64) (folders [2]string, expected [2]generate.Expected) {
	w.T.Helper()
	for i := range folders {
		folders[i] = filepath.Join(w.Sources, fmt.Sprintf("v%d", i+1))
		var err error
		if expected[i], err = generate.Segment(w.T.Context(), generate.Options{
			Rows: rows, Out: folders[i], Bad: 0.02, Seed: 3, Version: i + 1, Churn: 0.2,
		}); err != nil {
			w.T.Fatal(err)
		}
	}
	return folders, expected
}

// InBucket moves the world's sources and data root to a bucket.
func (w *World) InBucket(c *emulators.Cloud) {
	w.T.Helper()
	w.Sources, w.DataRoot = c.At("lake/segments"), c.At("exports/data")
	w.WriteConnections("{}")
	w.OpenRoot()
}

// Publish copies generated files to the sources.
func (w *World) Publish(from string) {
	w.T.Helper()
	bucket, err := storage.OpenRoot(w.T.Context(), w.Sources)
	if err != nil {
		w.T.Fatal(err)
	}
	defer bucket.Close()
	files, err := filepath.Glob(filepath.Join(from, "*"))
	if err != nil || len(files) == 0 {
		w.T.Fatalf("nothing to publish: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			w.T.Fatal(err)
		}
		if err := bucket.Write(w.T.Context(), "day=1/"+filepath.Base(f), data); err != nil {
			w.T.Fatal(err)
		}
	}
}

// WriteExports writes exports.yaml with an export "Spring" of two segments.
func (w *World) WriteExports(cron, second string) string {
	w.T.Helper()
	text := fmt.Sprintf(`refresh: {cron: %q, timeZone: Europe/Oslo}
exports:
  - name: Spring
    connection: sandbox
    email: EmailAddress
    ready: {settle: 0s} # the tests write the segments just before they are read
    segments:
      - {name: High-value, source: segments}
      - {name: Readers, source: %s}
`, cron, second)
	if err := os.WriteFile(w.Path("exports.yaml"), []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
	}
	return w.Path("exports.yaml")
}

// Cron expressions for exports.yaml: never during a test, and every minute.
const (
	Seldom = "0 4 29 2 *"
	Often  = "* * * * *"
)

// Share returns a pointer to a guardrail's share.
func Share(s float64) *float64 { return &s }
