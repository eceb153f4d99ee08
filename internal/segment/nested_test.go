package segment

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"

	"iterable-segment-export/schemas"
)

// nesting makes random types, and random values of them.
type nesting struct{ *rand.Rand }

func (n nesting) dt(depth int) arrow.DataType {
	kind := n.IntN(7)
	if depth == 0 {
		kind = 3 + n.IntN(4)
	}
	switch kind {
	case 0:
		var fields []arrow.Field
		for i := range 1 + n.IntN(3) {
			fields = append(fields, arrow.Field{Name: string(rune('a' + i)), Type: n.dt(depth - 1), Nullable: n.IntN(3) > 0})
		}
		return arrow.StructOf(fields...)
	case 1:
		item := n.dt(depth - 1)
		if n.IntN(2) > 0 {
			return arrow.ListOf(item)
		}
		return arrow.ListOfNonNullable(item)
	case 2:
		m := arrow.MapOf(arrow.BinaryTypes.String, n.dt(depth-1))
		m.SetItemNullable(n.IntN(2) > 0)
		return m
	case 3:
		return arrow.PrimitiveTypes.Int64
	case 4:
		return arrow.FixedWidthTypes.Boolean
	case 5:
		return arrow.PrimitiveTypes.Float64
	}
	return arrow.BinaryTypes.String
}

// value returns a value for array.RecordFromJSON.
func (n nesting) value(dt arrow.DataType, nullable bool) any {
	if nullable && n.IntN(4) == 0 {
		return nil
	}
	many := max(0, n.IntN(6)-2)
	switch dt := dt.(type) {
	case *arrow.StructType:
		out := map[string]any{}
		for _, f := range dt.Fields() {
			out[f.Name] = n.value(f.Type, f.Nullable)
		}
		return out
	case *arrow.MapType:
		out := []any{}
		for i := range many {
			out = append(out, map[string]any{"key": fmt.Sprint("k", i), "value": n.value(dt.ItemType(), dt.ItemField().Nullable)})
		}
		return out
	case *arrow.ListType:
		out := []any{}
		for range many {
			out = append(out, n.value(dt.Elem(), dt.ElemField().Nullable))
		}
		return out
	case *arrow.Int64Type:
		return n.Int64N(1000) - 500
	case *arrow.BooleanType:
		return n.IntN(2) == 0
	case *arrow.Float64Type:
		return float64(n.IntN(1000)) / 8
	}
	return strings.Repeat(string(rune('a'+n.IntN(26))), n.IntN(12))
}

// TestRandomNestedParquet writes random columns of structs, lists and maps with Arrow's writer, and
// reads back the same values.
func TestRandomNestedParquet(t *testing.T) {
	for seed := range uint64(80) {
		n := nesting{rand.New(rand.NewPCG(seed, 18))}
		fields := []arrow.Field{{Name: "email", Type: arrow.BinaryTypes.String}}
		for i := range 1 + n.IntN(4) {
			fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: n.dt(4), Nullable: n.IntN(4) > 0})
		}
		schema := arrow.NewSchema(fields, nil)
		var records []arrow.Record
		var want []string
		for range 1 + n.IntN(3) { // row groups
			var lines []any
			for range 1 + n.IntN(300) {
				row := map[string]any{}
				for _, f := range fields {
					row[f.Name] = n.value(f.Type, f.Nullable)
				}
				lines = append(lines, row)
			}
			data, err := json.Marshal(lines)
			if err != nil {
				t.Fatal(err)
			}
			rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(string(data)))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			records = append(records, rec)
			for i := range int(rec.NumRows()) {
				want = append(want, rowText(t, rec, i))
			}
		}
		options := []parquet.WriterProperty{
			parquet.WithDictionaryDefault(n.IntN(2) > 0), parquet.WithDataPageSize([]int64{50, 1000, 1 << 20}[n.IntN(3)]),
			parquet.WithDataPageVersion([]parquet.DataPageVersion{parquet.DataPageV1, parquet.DataPageV2}[n.IntN(2)]),
			parquet.WithCompression([]compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Zstd}[n.IntN(2)]),
		}
		path := filepath.Join(t.TempDir(), "x.parquet")
		writeParquet(t, path, 1<<20, records, options...)
		s := inspect(t, path, Columns{Email: "email", Fields: schemas.Fields{All: true}})
		var got []string
		for b, err := range s.Read(t.Context(), Options{BatchRows: 1 + n.IntN(200)}) {
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, schema)
			}
			for i := range int(b.NumRows()) {
				got = append(got, rowText(t, b.Record, i))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d rows, want %d\n%s", seed, len(got), len(want), schema)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("seed %d, row %d:\n got %s\nwant %s\n%s", seed, i, got[i], want[i], schema)
			}
		}
	}
}

func rowText(t *testing.T, rec arrow.Record, i int) string {
	t.Helper()
	var out []any
	for _, c := range rec.Columns() {
		out = append(out, c.GetOneForMarshal(i))
	}
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
