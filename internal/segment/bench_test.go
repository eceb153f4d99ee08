package segment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// benchRows × 8 mapped columns (and two that are not) are what the benchmarks
// read.
const benchRows = 1_000_000

func benchFile(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.parquet")
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "first", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "last", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "city", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "age", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "active", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "more", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy)), pqarrow.DefaultWriterProps())
	if err != nil {
		b.Fatal(err)
	}
	const group = 250_000
	for at := 0; at < benchRows; at += group {
		rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i := at; i < at+group; i++ {
			rb.Field(0).(*array.Int64Builder).Append(int64(i))
			rb.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("person.%d@example.com", i*7919%benchRows))
			rb.Field(2).(*array.StringBuilder).Append(fmt.Sprintf("First%d", i%500))
			rb.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("Last%d", i%5000))
			rb.Field(4).(*array.StringBuilder).Append(fmt.Sprintf("City %d", i%300))
			rb.Field(5).(*array.Int32Builder).Append(int32(i % 90))
			rb.Field(6).(*array.Float64Builder).Append(float64(i) / 3)
			rb.Field(7).(*array.BooleanBuilder).Append(i%3 == 0)
			rb.Field(8).(*array.StringBuilder).Append(fmt.Sprintf("a note that nobody reads, number %d", i))
			rb.Field(9).(*array.StringBuilder).AppendNull()
		}
		rec := rb.NewRecord()
		if err := w.Write(rec); err != nil {
			b.Fatal(err)
		}
		rec.Release()
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkRead(b *testing.B) {
	path := benchFile(b)
	var fields []schemas.Field
	for _, c := range []string{"first", "last", "city", "age", "score", "active"} {
		fields = append(fields, schemas.Field{Column: c})
	}
	for _, parallel := range []int{1, 2} {
		b.Run(fmt.Sprintf("segment/parallel=%d", parallel), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := Inspect(context.Background(), path, Columns{Email: "email", UserID: "id", Fields: schemas.Fields{List: fields}})
				if err != nil {
					b.Fatal(err)
				}
				n := int64(0)
				for rec, err := range s.Read(context.Background(), Options{Parallel: parallel}) {
					if err != nil {
						b.Fatal(err)
					}
					n += rec.NumRows()
				}
				if n != benchRows {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	for _, c := range []struct {
		parallel, buffered bool
	}{{false, false}, {false, true}, {true, false}} {
		b.Run(fmt.Sprintf("arrow/parallel=%v,buffered=%v", c.parallel, c.buffered), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := readWithArrow(b, path, c.parallel, c.buffered); n != benchRows {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// readWithArrow is the floor: the same columns in batches of the same size.
func readWithArrow(b *testing.B, path string, parallel, buffered bool) int64 {
	data, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer data.Close()
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled = buffered
	pf, err := file.NewParquetReader(data, file.WithReadProps(props))
	if err != nil {
		b.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: 16 << 10, Parallel: parallel}, memory.DefaultAllocator)
	if err != nil {
		b.Fatal(err)
	}
	rr, err := fr.GetRecordReader(context.Background(), []int{0, 1, 2, 3, 4, 5, 6, 7}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer rr.Release()
	n := int64(0)
	for rr.Next() {
		n += rr.Record().NumRows()
	}
	return n
}
