package segment

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// contact is a struct with what tests want to reach by path.
var contact = arrow.StructOf(
	arrow.Field{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
	arrow.Field{Name: "inner", Type: arrow.StructOf(arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true}), Nullable: true},
)

// profileSchema has a column of every form that both kinds of files can hold.
var profileSchema = arrow.NewSchema([]arrow.Field{
	{Name: "id", Type: arrow.PrimitiveTypes.Int64},
	{Name: "EmailAddress", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "contact", Type: contact, Nullable: true},
	{Name: "age", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "active", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "born", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
	{Name: "seen", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	{Name: "orders", Type: arrow.ListOf(arrow.StructOf(arrow.Field{Name: "sku", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true})), Nullable: true},
	{Name: "attributes", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32), Nullable: true},
	{Name: "price", Type: &arrow.Decimal128Type{Precision: 10, Scale: 2}, Nullable: true},
	{Name: "a.b", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)

// profiles makes rows from a number on; every few values are null.
func profiles(t testing.TB, first, n int) arrow.Record {
	t.Helper()
	var b bytes.Buffer
	for i := first; i < first+n; i++ {
		null := func(every int, v string) string {
			if i%every == every-1 {
				return "null"
			}
			return v
		}
		contact := fmt.Sprintf(`{"email":%s,"inner":%s}`, null(3, fmt.Sprintf(`"c%d@example.com"`, i)), null(4, fmt.Sprintf(`{"n":%s}`, null(5, fmt.Sprint(i)))))
		tags, orders, attributes := "[", "[", "["
		for j := range i % 4 {
			if j > 0 {
				tags, orders, attributes = tags+",", orders+",", attributes+","
			}
			tags += null(11, fmt.Sprintf(`"t%d"`, j))
			orders += null(13, fmt.Sprintf(`{"sku":"s%d","n":%s}`, j, null(6, fmt.Sprint(j))))
			attributes += fmt.Sprintf(`{"key":"k%d","value":%d}`, j, j)
		}
		fmt.Fprintf(&b, `{"id":%d,"EmailAddress":%s,"contact":%s,"age":%s,"score":%s,"active":%s,"born":%s,"seen":%s,"tags":%s,"orders":%s,"attributes":%s,"price":%s,"a.b":"x%d"}`+"\n",
			i, null(7, fmt.Sprintf(`"p%d@example.com"`, i)), null(5, contact), null(3, fmt.Sprint(i%90)), null(9, fmt.Sprintf("%d.5", i)),
			null(8, fmt.Sprint(i%2 == 0)), null(10, `"1990-01-02"`), null(12, `"2026-01-02 03:04:05.000006"`),
			null(6, tags+"]"), null(7, orders+"]"), null(8, attributes+"]"), null(9, fmt.Sprintf(`"%d.25"`, i)), i)
	}
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, profileSchema, &b, array.WithMultipleDocs())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func writeParquet(t testing.TB, path string, group int64, records []arrow.Record, opts ...parquet.WriterProperty) {
	t.Helper()
	var b bytes.Buffer
	opts = append([]parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy)}, opts...)
	w, err := pqarrow.NewFileWriter(records[0].Schema(), &b, parquet.NewWriterProperties(opts...), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		for at := int64(0); at < rec.NumRows(); at += group {
			part := rec.NewSlice(at, min(rec.NumRows(), at+group))
			if err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			part.Release()
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeBytes(t, path, b.Bytes())
}

func writeIPCFile(t testing.TB, path string, records []arrow.Record, opts ...ipc.Option) {
	t.Helper()
	f, err := os.Create(create(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := ipc.NewFileWriter(f, append(opts, ipc.WithSchema(records[0].Schema()))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func writeStream(t testing.TB, path string, records []arrow.Record, opts ...ipc.Option) {
	t.Helper()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(opts, ipc.WithSchema(records[0].Schema()))...)
	for _, rec := range records {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeBytes(t, path, b.Bytes())
}

func create(t testing.TB, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeBytes(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(create(t, path), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// parts cuts a record into records of n rows each.
func parts(rec arrow.Record, n int64) []arrow.Record {
	var out []arrow.Record
	for at := int64(0); at < rec.NumRows(); at += n {
		out = append(out, rec.NewSlice(at, min(rec.NumRows(), at+n)))
	}
	return out
}

// text is a JSON-like form of a column's values, for comparing across types.
func text(t testing.TB, arr arrow.Array, i int) string {
	t.Helper()
	if arr.IsNull(i) {
		return "null"
	}
	return arr.ValueStr(i)
}
