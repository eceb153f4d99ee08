package segment

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

// newForms returns a record with Arrow's newest layouts: views, run-end encoding, UUIDs, and a
// dictionary with a null in it.
func newForms(rows int) (rec arrow.Record, want []string) {
	mem := memory.DefaultAllocator
	emails, bytes := array.NewStringViewBuilder(mem), array.NewBinaryViewBuilder(mem)
	lists := array.NewListViewBuilder(mem, arrow.PrimitiveTypes.Int32)
	runs, ends := array.NewStringBuilder(mem), array.NewInt32Builder(mem)
	ids := array.NewFixedSizeBinaryBuilder(mem, &arrow.FixedSizeBinaryType{ByteWidth: 16})
	named, index := array.NewStringBuilder(mem), array.NewInt8Builder(mem)
	named.AppendValues([]string{"zero", "", "two"}, []bool{true, false, true})
	places := array.NewStringViewBuilder(mem)
	for i := range rows {
		email := fmt.Sprintf("a%d@x.com", i)
		if i%3 == 0 {
			email = fmt.Sprintf("somebody.with.a.long.name.%d@example.com", i)
		}
		emails.Append(email)
		row := map[string]any{"email": email, "id": fmt.Sprintf("%08x-0000-0000-0000-0000000000ff", i)}
		if i%5 == 0 {
			bytes.AppendNull()
		} else {
			b := strings.Repeat("b", i%20)
			bytes.Append([]byte(b))
			row["bytes"] = b
		}
		if i%4 == 0 {
			lists.AppendNull()
		} else {
			lists.AppendWithSize(true, i%3)
			list := []any{}
			for k := range i % 3 {
				lists.ValueBuilder().(*array.Int32Builder).Append(int32(i + k))
				list = append(list, i+k)
			}
			row["list"] = list
		}
		if i%7 == 0 {
			if i%2 == 0 {
				runs.Append(fmt.Sprint("run", i))
			} else {
				runs.AppendNull()
			}
			ends.Append(int32(min(i+7, rows)))
		}
		if i/7*7%2 == 0 {
			row["run"] = fmt.Sprint("run", i/7*7)
		}
		id := make([]byte, 16)
		id[2], id[3], id[15] = byte(i>>8), byte(i), 0xff
		ids.Append(id)
		index.Append(int8(i % 3))
		if i%3 != 1 {
			row["named"] = []string{"zero", "", "two"}[i%3]
		}
		places.Append(fmt.Sprintf("a place that is not near, number %d", i))
		row["at"] = map[string]any{"place": fmt.Sprintf("a place that is not near, number %d", i)}
		line, _ := json.Marshal(row)
		want = append(want, string(line))
	}
	dict := array.NewDictionaryArray(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, index.NewArray(), named.NewArray())
	at, err := array.NewStructArray([]arrow.Array{places.NewArray()}, []string{"place"})
	if err != nil {
		panic(err)
	}
	columns := []arrow.Array{
		emails.NewArray(), bytes.NewArray(), lists.NewArray(), array.NewRunEndEncodedArray(ends.NewArray(), runs.NewArray(), rows, 0), ids.NewArray(), dict, at,
	}
	fields := make([]arrow.Field, len(columns))
	for i, name := range []string{"email", "bytes", "list", "run", "id", "named", "at"} {
		fields[i] = arrow.Field{Name: name, Type: columns[i].DataType(), Nullable: true}
	}
	fields[4].Metadata = arrow.NewMetadata([]string{"ARROW:extension:name"}, []string{"arrow.uuid"})
	return array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(rows)), want
}

func TestNewFormsOfArrow(t *testing.T) {
	const n = 500
	rec, want := newForms(n)
	// What reads columns has no case for views, runs and extension types.
	decoded := []string{"utf8", "utf8", "binary", "list_view<item: int32, nullable>", "dictionary<values=utf8, indices=int32, ordered=false>",
		"dictionary<values=utf8, indices=int8, ordered=false>", "struct<place: utf8>", "utf8"}
	for name, write := range map[string]func(path string){
		"file":      func(path string) { writeIPCFile(t, path, []arrow.Record{rec}) },
		"file zstd": func(path string) { writeIPCFile(t, path, []arrow.Record{rec}, ipc.WithZstd()) },
		"stream":    func(path string) { writeStream(t, path, []arrow.Record{rec}, ipc.WithLZ4()) },
	} {
		path := filepath.Join(t.TempDir(), "x")
		write(path)
		for _, opts := range []Options{{}, {BatchRows: 1}, {BatchRows: 100, Parallel: 3}} {
			s := inspect(t, path, Columns{Email: "email", UserID: "id", Fields: schemas.Fields{List: []schemas.Field{{Column: "bytes"}, {Column: "list"}, {Column: "run"}, {Column: "named"}, {Column: "at"}, {Column: "at.place"}}}})
			row := 0
			for b, err := range s.Read(t.Context(), opts) {
				if err != nil {
					t.Fatalf("%s, %+v: %v", name, opts, err)
				}
				for c, want := range decoded {
					if got := b.Column(c).DataType().String(); got != want {
						t.Fatalf("%s: column %s has type %s, want %s", name, s.Columns[c].Name, got, want)
					}
				}
				for i := range int(b.NumRows()) {
					got := map[string]any{}
					for c, col := range b.Columns() {
						v := col.GetOneForMarshal(i)
						if d, ok := col.(*array.Dictionary); ok {
							v = d.Dictionary().GetOneForMarshal(d.GetValueIndex(i))
						}
						if v == nil || s.Columns[c].Name == "at.place" {
							continue
						}
						if b, ok := v.([]byte); ok {
							v = string(b)
						}
						got[s.Columns[c].Name] = v
					}
					line, err := json.Marshal(got)
					if err != nil || string(line) != want[row] {
						t.Fatalf("%s, %+v, row %d:\n got %s\nwant %s\n%v", name, opts, row, line, want[row], err)
					}
					row++
				}
			}
			if row != n {
				t.Fatalf("%s, %+v: %d rows", name, opts, row)
			}
		}
	}
}
