package arrowfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
)

// memoryFile is a storage.File in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// samples are types, and values of them in JSON.
var samples = []struct {
	dt     arrow.DataType
	values string
}{
	{arrow.Null, `null`},
	{arrow.FixedWidthTypes.Boolean, `true|false|true`},
	{arrow.PrimitiveTypes.Int8, `-128|127`}, {arrow.PrimitiveTypes.Uint8, `255|0`},
	{arrow.PrimitiveTypes.Int16, `-1|300`}, {arrow.PrimitiveTypes.Uint16, `65535|0`},
	{arrow.PrimitiveTypes.Int32, `-1|3`}, {arrow.PrimitiveTypes.Uint32, `4294967295|0`},
	{arrow.PrimitiveTypes.Int64, `-1|3`}, {arrow.PrimitiveTypes.Uint64, `18446744073709551615|0`},
	{arrow.FixedWidthTypes.Float16, `1.5|2.25`}, {arrow.PrimitiveTypes.Float32, `1.5|-2`}, {arrow.PrimitiveTypes.Float64, `1.5|-2`},
	{arrow.FixedWidthTypes.Date32, `"2024-02-29"|"0001-01-01"`}, {arrow.FixedWidthTypes.Date64, `"2024-02-29"|"9999-12-31"`},
	{arrow.FixedWidthTypes.Time32s, `"13:00:01"`}, {arrow.FixedWidthTypes.Time32ms, `"13:00:01.5"`},
	{arrow.FixedWidthTypes.Time64us, `"13:00:01.5"`}, {arrow.FixedWidthTypes.Time64ns, `"13:00:01.000000001"`},
	{&arrow.TimestampType{Unit: arrow.Nanosecond}, `"2024-02-29T13:00:00"`}, {&arrow.TimestampType{Unit: arrow.Second, TimeZone: "Europe/Oslo"}, `"2024-02-29T13:00:00Z"`},
	{arrow.FixedWidthTypes.Duration_ms, `"36000ms"`}, {arrow.FixedWidthTypes.MonthInterval, `{"months":14}`},
	{arrow.FixedWidthTypes.DayTimeInterval, `{"days":1,"milliseconds":2}`}, {arrow.FixedWidthTypes.MonthDayNanoInterval, `{"months":1,"days":2,"nanoseconds":3}`},
	{&arrow.Decimal128Type{Precision: 10, Scale: 2}, `"12.50"|"-0.01"`}, {&arrow.Decimal256Type{Precision: 60, Scale: 2}, `"12.50"|"-0.01"`},
	{arrow.BinaryTypes.String, `"Oslo"|""|"Bodø"`}, {arrow.BinaryTypes.LargeString, `"Oslo"|""|"Bodø"`},
	{arrow.BinaryTypes.Binary, `"T3Nsbw=="|""`}, {arrow.BinaryTypes.LargeBinary, `"T3Nsbw=="|""`}, {&arrow.FixedSizeBinaryType{ByteWidth: 4}, `"T3Nsbw=="`},
	{arrow.BinaryTypes.StringView, `"Oslo"|"a text that is longer than a view"|""`}, {arrow.BinaryTypes.BinaryView, `"T3Nsbw=="|""`},
	{arrow.ListOf(arrow.BinaryTypes.String), `["a",null]|[]|["b","c","d"]`}, {arrow.LargeListOf(arrow.PrimitiveTypes.Int8), `[1,2]|[]`},
	{arrow.FixedSizeListOf(2, arrow.BinaryTypes.String), `["a","b"]|["c",null]`}, {arrow.ListViewOf(arrow.PrimitiveTypes.Int8), `[1,2]|[]`},
	{arrow.LargeListViewOf(arrow.BinaryTypes.String), `["a"]|[]`},
	{arrow.MapOf(arrow.BinaryTypes.String, arrow.ListOf(arrow.PrimitiveTypes.Int8)), `[{"key":"a","value":[1]},{"key":"b","value":null}]|[]`},
	{arrow.StructOf(arrow.Field{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "b", Type: arrow.ListOf(arrow.FixedWidthTypes.Boolean), Nullable: true}), `{"a":"x","b":[true]}|{"a":null,"b":[]}`},
	{arrow.StructOf(), `{}`},
	{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `"Oslo"|"Bodø"|"Oslo"`},
	{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint64, ValueType: arrow.FixedWidthTypes.Date32}, `"2024-02-29"`},
	{arrow.ListOf(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: arrow.BinaryTypes.String}), `["a","b"]|[]|["b"]`},
	{arrow.ListOf(arrow.ListOf(arrow.StructOf(arrow.Field{Name: "v", Type: arrow.BinaryTypes.StringView, Nullable: true}))), `[[{"v":"a text that is longer than a view"}],[],null]|[]`},
}

// everything returns a record of all samples, with different values in each row.
func everything(t *testing.T, first, rows int) arrow.Record {
	t.Helper()
	var fields []arrow.Field
	for i, s := range samples {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: s.dt, Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	for row := first; row < first+rows; row++ {
		for i, s := range samples {
			values := append(strings.Split(s.values, "|"), "null")
			if err := b.Field(i).UnmarshalJSON([]byte("[" + values[(row+row/7)%len(values)] + "]")); err != nil {
				t.Fatalf("%s: %v", s.dt, err)
			}
		}
	}
	return b.NewRecord()
}

// read returns the columns of a file as JSON, column by column.
func read(t *testing.T, data []byte, opts columnar.Options, paths func(f *File) [][]int) ([]string, error) {
	t.Helper()
	src := columnar.NewSource(context.Background(), memoryFile{bytes.NewReader(data)})
	f, err := Open(src, data[:8])
	if err != nil {
		return nil, err
	}
	b, err := f.Open(src, paths(f), opts)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var out []string
	for {
		columns, _, err := b.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, make([]string, len(columns)-min(len(columns), len(out)))...)
		for i, c := range columns {
			out[i] += values(t, c)
		}
	}
}

func all(f *File) (paths [][]int) {
	for i := range f.Fields {
		paths = append(paths, []int{i})
	}
	return paths
}

func values(t *testing.T, arr arrow.Array) string {
	t.Helper()
	text, err := arr.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.TrimSpace(strings.ReplaceAll(string(text), "\n", ""))
	return rows[1:len(rows)-1] + ","
}

// TestAsArrowReads reads records of every type as Arrow's own reader does, in files and
// streams, with every codec, whole and in parts, and as versions before 0.15 wrote them.
func TestAsArrowReads(t *testing.T) {
	recs := []arrow.Record{everything(t, 0, 40), everything(t, 3, 28), everything(t, 0, 0), everything(t, 40, 9)}
	// The dictionaries of a file have to stay.
	inFile := []arrow.Record{recs[0], recs[0]}
	var none, lz, zst bytes.Buffer
	for out, opts := range map[*bytes.Buffer][]ipc.Option{&none: nil, &lz: {ipc.WithLZ4()}, &zst: {ipc.WithZstd()}} {
		w := ipc.NewWriter(out, append(opts, ipc.WithSchema(recs[0].Schema()))...)
		for _, r := range recs {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fw, err := ipc.NewFileWriter(file, ipc.WithSchema(recs[0].Schema()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range inFile {
		if err := fw.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := fw.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"stream": none.Bytes(), "file": written, "lz4": lz.Bytes(), "zstd": zst.Bytes(), "before 0.15": old(none.Bytes())} {
		for _, opts := range []columnar.Options{{}, {BatchRows: 1}, {BatchRows: 7, Parallel: 2}} {
			got, err := read(t, data, opts, all)
			if err != nil {
				t.Errorf("%s, %+v: %v", name, opts, err)
				continue
			}
			for i := range samples {
				var want string
				for _, r := range map[bool][]arrow.Record{true: inFile, false: recs}[name == "file"] {
					if r.NumRows() > 0 {
						want += values(t, r.Column(i))
					}
				}
				if got[i] != want {
					t.Errorf("%s, %+v, %s:\n got %s\nwant %s", name, opts, samples[i].dt, got[i], want)
				}
			}
		}
	}
}

// old makes a stream as Arrow wrote it before version 0.15: without marks of
// continuation.
func old(stream []byte) (out []byte) {
	for at := 0; at < len(stream); {
		length := int(binary.LittleEndian.Uint32(stream[at+4:]))
		if length == 0 {
			return append(out, 0, 0, 0, 0)
		}
		m, err := parseMessage(stream[at+8 : at+8+length])
		if err != nil {
			panic(err)
		}
		out = append(out, stream[at+4:at+8+length+int(m.size)]...)
		at += 8 + length + int(m.size)
	}
	return out
}

// TestUnmappedTypes reads columns beside and within those that can't be read.
func TestUnmappedTypes(t *testing.T) {
	mem := memory.DefaultAllocator
	text := arrow.Field{Name: "v", Type: arrow.BinaryTypes.String, Nullable: true}
	dense, sparse := arrow.DenseUnionOf([]arrow.Field{text}, []arrow.UnionTypeCode{0}), arrow.SparseUnionOf([]arrow.Field{text}, []arrow.UnionTypeCode{0})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "dense", Type: dense}, {Name: "sparse", Type: sparse}, text,
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "u", Type: sparse}, text), Nullable: true}, {Name: "l", Type: arrow.ListOf(dense)},
	}, nil)
	b := array.NewRecordBuilder(mem, schema)
	row := `{"dense":[0,"d"],"sparse":[0,"p"],"v":"x","s":{"u":[0,"p"],"v":"y"},"l":[[0,"d"]]}`
	if err := b.UnmarshalJSON([]byte(row)); err != nil {
		t.Fatal(err)
	}
	if err := b.UnmarshalJSON([]byte(strings.Replace(row, `{"u":[0,"p"],"v":"y"}`, "null", 1))); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(b.NewRecord()); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, out.Bytes(), columnar.Options{}, func(f *File) [][]int {
		for i, name := range []string{"dense", "sparse", "", "s", "l"} {
			if why := columnar.Supported(f.Fields[i].Type); (why == nil) != (name == "") {
				t.Errorf("%s: %v", f.Fields[i].Name, why)
			}
		}
		return [][]int{{2}, {3, 1}, nil}
	})
	if err != nil || strings.Join(got, "|") != `"x","x",|"y",null,|null,null,` {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDictionaries reads a stream whose dictionary grows and is replaced, and two
// columns that share one.
func TestDictionaries(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: true}}, nil)
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema), ipc.WithDictionaryDeltas(true))
	for _, dict := range []string{`["a","b"]`, `["a","b","c"]`, `["z"]`} {
		values, _, err := array.FromJSON(memory.DefaultAllocator, dt.ValueType, strings.NewReader(dict))
		if err != nil {
			t.Fatal(err)
		}
		index := array.NewInt8Builder(memory.DefaultAllocator)
		index.Append(int8(values.Len() - 1))
		index.AppendNull()
		if err := w.Write(array.NewRecord(schema, []arrow.Array{array.NewDictionaryArray(dt, index.NewArray(), values)}, 2)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(t, out.Bytes(), columnar.Options{}, func(*File) [][]int { return [][]int{{0}, {0}} })
	if want := `"b",null,"c",null,"z",null,`; err != nil || strings.Join(got, "|") != want+"|"+want {
		t.Errorf("%q, %v", got, err)
	}
}
