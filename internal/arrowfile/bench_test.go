package arrowfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
)

// BenchmarkRead reads a stream of one large record batch, some thousand rows at a time.
func BenchmarkRead(b *testing.B) {
	const rows = 300_000
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "view", Type: arrow.BinaryTypes.StringView, Nullable: true},
		{Name: "active", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil)
	rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range rows {
		rb.Field(0).(*array.Int64Builder).Append(int64(i))
		rb.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("person.%d@example.com", i*7919%rows))
		rb.Field(2).(*array.StringViewBuilder).Append(fmt.Sprintf("a text that is longer than a view, %d", i))
		rb.Field(3).(*array.BooleanBuilder).Append(i%3 == 0)
		l := rb.Field(4).(*array.ListBuilder)
		if i%5 == 0 {
			l.AppendNull()
			continue
		}
		l.Append(true)
		for k := range i % 4 {
			l.ValueBuilder().(*array.StringBuilder).Append(fmt.Sprint("tag", k))
		}
	}
	rec := rb.NewRecord()
	for name, opts := range map[string][]ipc.Option{"none": nil, "lz4": {ipc.WithLZ4()}, "zstd": {ipc.WithZstd()}} {
		var out bytes.Buffer
		if err := ipc.NewWriter(&out, append(opts, ipc.WithSchema(schema))...).Write(rec); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src := columnar.NewSource(context.Background(), memoryFile{bytes.NewReader(out.Bytes())})
				f, err := Open(src, out.Bytes()[:8])
				if err != nil {
					b.Fatal(err)
				}
				batches, err := f.Open(src, all(f), columnar.Options{Parallel: 1})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					_, k, err := batches.Next()
					if n += k; err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if batches.Close(); n != rows {
					b.Fatal(n)
				}
			}
		})
	}
}
