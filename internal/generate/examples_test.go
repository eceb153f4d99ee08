package generate

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/schemas"
)

// update makes the test write the segments of examples/ from testdata/*.jsonl.
var update = flag.Bool("update", false, "write the segments of examples/")

// newsletterSchema is that of the second example: the address in a struct.
var newsletterSchema = arrow.NewSchema([]arrow.Field{
	{Name: "ReaderId", Type: arrow.PrimitiveTypes.Int64},
	{Name: "contact", Type: arrow.StructOf(
		arrow.Field{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "language", Type: arrow.BinaryTypes.String, Nullable: true},
	), Nullable: true},
	{Name: "FirstName", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "Opens", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "Topics", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	{Name: "SignedUpAt", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
}, nil)

// complaintsSchema is that of the suppression list.
var complaintsSchema = arrow.NewSchema([]arrow.Field{
	{Name: "EmailAddress", Type: arrow.BinaryTypes.String},
	{Name: "ComplainedAt", Type: arrow.FixedWidthTypes.Date32},
}, nil)

// examples are the segments of examples/, and its suppression list, with the counts in examples/README.md.
var examples = []struct {
	rows, path string
	schema     *arrow.Schema
	addresses  func(arrow.Record) *array.String
	rejected   map[int]schemas.Reason
	duplicates []int
}{
	{
		rows: "testdata/high-value.jsonl", path: "../../examples/segments/high-value/part-0.parquet", schema: Schema,
		addresses: func(rec arrow.Record) *array.String { return rec.Column(1).(*array.String) },
		rejected: map[int]schemas.Reason{
			5: schemas.ReasonMissing, 9: schemas.ReasonNonASCIILocal, 12: schemas.ReasonUnknownTLD, 18: schemas.ReasonSyntax,
		},
		duplicates: []int{16, 23},
	},
	{
		rows: "testdata/newsletter.jsonl", path: "../../examples/segments/newsletter.arrow", schema: newsletterSchema,
		addresses: func(rec arrow.Record) *array.String { return rec.Column(1).(*array.Struct).Field(0).(*array.String) },
		rejected: map[int]schemas.Reason{
			3: schemas.ReasonDots, 7: schemas.ReasonNoTLD, 14: schemas.ReasonControlCharacter,
		},
		duplicates: []int{11, 16},
	},
	{
		rows: "testdata/complaints.jsonl", path: "../../examples/marketing/complaints.arrow", schema: complaintsSchema,
		addresses: func(rec arrow.Record) *array.String { return rec.Column(0).(*array.String) },
	},
}

func TestExamplesAreWhatTheirSourcesSay(t *testing.T) {
	for _, e := range examples {
		source, err := os.ReadFile(e.rows)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := array.RecordFromJSON(memory.DefaultAllocator, e.schema, strings.NewReader(string(source)), array.WithMultipleDocs())
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			writeExample(t, e.path, want)
		}
		got := readExample(t, e.path)
		for i, column := range want.Columns() {
			if !array.Equal(column, got.Column(i)) {
				t.Errorf("%s: column %s is not that of %s; run go test ./internal/generate -update", e.path, want.ColumnName(i), e.rows)
			}
		}
	}
}

func TestExamplesHaveTheDocumentedBadRows(t *testing.T) {
	for _, e := range examples {
		rejected, duplicates, met := map[int]schemas.Reason{}, []int(nil), map[string]bool{}
		addresses := e.addresses(readExample(t, e.path))
		for i := range addresses.Len() {
			address, reason := email.Normalize([]byte(addresses.Value(i)), nil, email.Options{})
			switch {
			case reason != "":
				rejected[i] = reason
			case met[string(address)]:
				duplicates = append(duplicates, i)
			}
			met[string(address)] = true
		}
		if !maps.Equal(rejected, e.rejected) || !slices.Equal(duplicates, e.duplicates) {
			t.Errorf("%s: rejected %v, duplicates %v; want %v, %v", e.path, rejected, duplicates, e.rejected, e.duplicates)
		}
		// More would make the example's first run wait for an operator.
		if share := float64(len(rejected)) / float64(addresses.Len()); share >= schemas.DefaultMaxRejectedShare {
			t.Errorf("%s: a share of %.2f is rejected", e.path, share)
		}
	}
}

func writeExample(t *testing.T, path string, rec arrow.Record) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w interface {
		Write(arrow.Record) error
		Close() error
	}
	if strings.HasSuffix(path, ".arrow") {
		w, err = ipc.NewFileWriter(f, ipc.WithSchema(rec.Schema()), ipc.WithLZ4())
	} else {
		w, err = pqarrow.NewFileWriter(rec.Schema(), f, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy)), pqarrow.DefaultWriterProps())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// readExample reads a segment that is one record, with nothing but Arrow.
func readExample(t *testing.T, path string) arrow.Record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if strings.HasSuffix(path, ".arrow") {
		r, err := ipc.NewFileReader(f)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Record(0)
		if err != nil || r.NumRecords() != 1 {
			t.Fatalf("%s: %d records, %v", path, r.NumRecords(), err)
		}
		rec.Retain()
		return rec
	}
	pf, err := file.NewParquetReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr := array.NewTableReader(table, table.NumRows())
	if !tr.Next() {
		t.Fatalf("%s is empty", path)
	}
	return tr.Record()
}
