package interop

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	pqfile "github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/apache/arrow/go/v15/parquet/schema"

	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/schemas"
)

var update = flag.Bool("update", false, "write the tables of docs/segments.md")

// sample is a type with an ordinary value, and one at the end of what it can hold.
type sample struct {
	name   string
	node   schema.LogicalType // of Parquet; nil for none
	length int
	values [2]any
}

func flba(hex ...byte) parquet.FixedLenByteArray { return hex }

// int96 is a timestamp of old Spark: a day, counted from 4713 BC, and nanoseconds.
func int96(day uint32) (v parquet.Int96) {
	v[8], v[9], v[10], v[11] = byte(day), byte(day>>8), byte(day>>16), byte(day>>24)
	return v
}

var uuid = flba(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

func parquetSamples() []sample {
	text := func(a, b string) [2]any { return [2]any{parquet.ByteArray(a), parquet.ByteArray(b)} }
	stamp := func(unit schema.TimeUnitType) schema.LogicalType { return schema.NewTimestampLogicalType(true, unit) }
	local := func(unit schema.TimeUnitType) schema.LogicalType { return schema.NewTimestampLogicalType(false, unit) }
	return []sample{
		{"BOOLEAN", nil, 0, [2]any{true, false}},
		{"INT32", nil, 0, [2]any{int32(7), int32(math.MinInt32)}},
		{"INT32 / INT(8, signed)", schema.NewIntLogicalType(8, true), 0, [2]any{int32(7), int32(-128)}},
		{"INT32 / INT(16, signed)", schema.NewIntLogicalType(16, true), 0, [2]any{int32(7), int32(-32768)}},
		{"INT32 / INT(32, signed)", schema.NewIntLogicalType(32, true), 0, [2]any{int32(7), int32(math.MinInt32)}},
		{"INT32 / INT(8, unsigned)", schema.NewIntLogicalType(8, false), 0, [2]any{int32(7), int32(255)}},
		{"INT32 / INT(16, unsigned)", schema.NewIntLogicalType(16, false), 0, [2]any{int32(7), int32(65535)}},
		{"INT32 / INT(32, unsigned)", schema.NewIntLogicalType(32, false), 0, [2]any{int32(7), int32(-1)}},
		{"INT32 / DATE", schema.DateLogicalType{}, 0, [2]any{int32(19782), int32(math.MaxInt32)}},
		{"INT32 / TIME(ms)", schema.NewTimeLogicalType(true, schema.TimeUnitMillis), 0, [2]any{int32(46800250), int32(-1)}},
		{"INT32 / DECIMAL(9, 2)", schema.NewDecimalLogicalType(9, 2), 0, [2]any{int32(1250), int32(-1)}},
		{"INT64", nil, 0, [2]any{int64(7), int64(math.MaxInt64)}},
		{"INT64 / INT(64, signed)", schema.NewIntLogicalType(64, true), 0, [2]any{int64(7), int64(math.MaxInt64)}},
		{"INT64 / INT(64, unsigned)", schema.NewIntLogicalType(64, false), 0, [2]any{int64(7), int64(-1)}},
		{"INT64 / TIME(µs)", schema.NewTimeLogicalType(true, schema.TimeUnitMicros), 0, [2]any{int64(46800250000), int64(-1)}},
		{"INT64 / TIME(ns)", schema.NewTimeLogicalType(true, schema.TimeUnitNanos), 0, [2]any{int64(46800250000000), int64(-1)}},
		{"INT64 / TIMESTAMP(ms)", stamp(schema.TimeUnitMillis), 0, [2]any{int64(1709211600000), int64(math.MaxInt64)}},
		{"INT64 / TIMESTAMP(µs)", stamp(schema.TimeUnitMicros), 0, [2]any{int64(1709211600000000), int64(math.MaxInt64)}},
		{"INT64 / TIMESTAMP(ns)", stamp(schema.TimeUnitNanos), 0, [2]any{int64(1709211600000000000), int64(math.MaxInt64)}},
		{"INT64 / TIMESTAMP(ms, local)", local(schema.TimeUnitMillis), 0, [2]any{int64(1709211600000), int64(math.MaxInt64)}},
		{"INT64 / TIMESTAMP(µs, local)", local(schema.TimeUnitMicros), 0, [2]any{int64(1709211600000000), int64(math.MaxInt64)}},
		{"INT64 / TIMESTAMP(ns, local)", local(schema.TimeUnitNanos), 0, [2]any{int64(1709211600000000000), int64(math.MaxInt64)}},
		{"INT64 / DECIMAL(18, 0)", schema.NewDecimalLogicalType(18, 0), 0, [2]any{int64(1250), int64(1e17)}},
		{"INT96", nil, 0, [2]any{int96(2460370), int96(5373484)}},
		{"FLOAT", nil, 0, [2]any{float32(1.5), float32(math.Inf(1))}},
		{"DOUBLE", nil, 0, [2]any{3.0, math.NaN()}},
		{"BYTE_ARRAY", nil, 0, text("Oslo", "\xff")},
		{"BYTE_ARRAY / STRING", schema.StringLogicalType{}, 0, text("Oslo", "\xff")},
		{"BYTE_ARRAY / ENUM", schema.EnumLogicalType{}, 0, text("GOLD", "\xff")},
		{"BYTE_ARRAY / JSON", schema.JSONLogicalType{}, 0, text(`{"a":1}`, "\xff")},
		{"BYTE_ARRAY / BSON", schema.BSONLogicalType{}, 0, text("\x05\x00\x00\x00\x00", "\xff")},
		{"BYTE_ARRAY / DECIMAL(38, 0)", schema.NewDecimalLogicalType(38, 0), 0, text("\x04\xe2", strings.Repeat("\x4b", 16))},
		{"FIXED_LEN_BYTE_ARRAY(4)", nil, 4, [2]any{flba('O', 's', 'l', 'o'), flba(255, 255, 255, 255)}},
		{"FIXED_LEN_BYTE_ARRAY(16) / UUID", schema.UUIDLogicalType{}, 16, [2]any{uuid, uuid}},
		{"FIXED_LEN_BYTE_ARRAY(5) / DECIMAL(10, 2)", schema.NewDecimalLogicalType(10, 2), 5, [2]any{flba(0, 0, 0, 4, 0xe2), flba(255, 255, 255, 255, 255)}},
		{"FIXED_LEN_BYTE_ARRAY(16) / DECIMAL(38, 0)", schema.NewDecimalLogicalType(38, 0), 16, [2]any{flba(append(make([]byte, 14), 4, 0xe2)...), flba([]byte(strings.Repeat("\x4b", 16))...)}},
		{"FIXED_LEN_BYTE_ARRAY(2) / FLOAT16", schema.Float16LogicalType{}, 2, [2]any{flba(0, 0x3e), flba(0, 0x7c)}},
		{"FIXED_LEN_BYTE_ARRAY(12) / INTERVAL", schema.IntervalLogicalType{}, 12, [2]any{flba(1, 0, 0, 0, 2, 0, 0, 0, 0xac, 13, 0, 0), flba(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)}},
	}
}

var physical = map[string]parquet.Type{
	"BOOLEAN": parquet.Types.Boolean, "INT32": parquet.Types.Int32, "INT64": parquet.Types.Int64, "INT96": parquet.Types.Int96, "FLOAT": parquet.Types.Float,
	"DOUBLE": parquet.Types.Double, "BYTE_ARRAY": parquet.Types.ByteArray, "FIXED_LEN_BYTE_ARRAY": parquet.Types.FixedLenByteArray,
}

// parquetFile writes a sample as the column v, beside an address.
func parquetFile(t *testing.T, s sample) string {
	t.Helper()
	kind, _, _ := strings.Cut(strings.Split(s.name, " / ")[0], "(")
	if s.node == nil {
		s.node = schema.NoLogicalType{}
	}
	v, err := schema.NewPrimitiveNodeLogical("v", parquet.Repetitions.Required, s.node, physical[kind], s.length, -1)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	email := schema.NewByteArrayNode("email", parquet.Repetitions.Required, -1)
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, schema.FieldList{v, email}, -1)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := pqfile.NewParquetWriter(&b, root)
	group := w.AppendRowGroup()
	for _, values := range [][2]any{s.values, {parquet.ByteArray("a@x.com"), parquet.ByteArray("b@x.com")}} {
		c, err := group.NextColumn()
		if err != nil {
			t.Fatal(err)
		}
		writeColumn(t, c, values)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeColumn(t *testing.T, c pqfile.ColumnChunkWriter, v [2]any) {
	t.Helper()
	var err error
	switch c := c.(type) {
	case *pqfile.BooleanColumnChunkWriter:
		_, err = c.WriteBatch([]bool{v[0].(bool), v[1].(bool)}, nil, nil)
	case *pqfile.Int32ColumnChunkWriter:
		_, err = c.WriteBatch([]int32{v[0].(int32), v[1].(int32)}, nil, nil)
	case *pqfile.Int64ColumnChunkWriter:
		_, err = c.WriteBatch([]int64{v[0].(int64), v[1].(int64)}, nil, nil)
	case *pqfile.Int96ColumnChunkWriter:
		_, err = c.WriteBatch([]parquet.Int96{v[0].(parquet.Int96), v[1].(parquet.Int96)}, nil, nil)
	case *pqfile.Float32ColumnChunkWriter:
		_, err = c.WriteBatch([]float32{v[0].(float32), v[1].(float32)}, nil, nil)
	case *pqfile.Float64ColumnChunkWriter:
		_, err = c.WriteBatch([]float64{v[0].(float64), v[1].(float64)}, nil, nil)
	case *pqfile.ByteArrayColumnChunkWriter:
		_, err = c.WriteBatch([]parquet.ByteArray{v[0].(parquet.ByteArray), v[1].(parquet.ByteArray)}, nil, nil)
	case *pqfile.FixedLenByteArrayColumnChunkWriter:
		_, err = c.WriteBatch([]parquet.FixedLenByteArray{v[0].(parquet.FixedLenByteArray), v[1].(parquet.FixedLenByteArray)}, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// described is a row of the table: what the column v of a file becomes.
func described(t *testing.T, name, path string) string {
	t.Helper()
	can := func(c segment.Columns) string {
		if _, err := segment.Inspect(t.Context(), path, c); err != nil {
			return "–"
		}
		return "yes"
	}
	roles := can(segment.Columns{Email: "v"}) + " | " + can(segment.Columns{UserID: "v"})
	s, err := segment.Inspect(t.Context(), path, segment.Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "v"}}}})
	if err != nil {
		return fmt.Sprintf("| %s | %s | refused | |", name, roles)
	}
	m, err := mapping.Compile([]mapping.Column{{Index: 1, Name: "v", Type: s.Columns[1].Type}}, mapping.Options{OnInvalid: schemas.InvalidReject})
	if err != nil {
		return fmt.Sprintf("| %s | %s | refused | |", name, roles)
	}
	var out []string
	for b, err := range s.Read(t.Context(), segment.Options{}) {
		if err == nil {
			err = m.Bind(b.Record)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range int(b.NumRows()) {
			row, invalid := m.Append(nil, i)
			cell := "`" + strings.TrimSuffix(strings.TrimPrefix(string(row), `{"v":`), "}") + "`"
			if string(row) == "{}" {
				cell = "no value"
			}
			if invalid != nil {
				cell = "left out: it " + invalid.Problem
			}
			out = append(out, cell)
		}
	}
	if out[0] == out[1] {
		out[1] = ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", name, roles, out[0], out[1])
}

// TestTypes compares the tables of docs/segments.md with what becomes of each type;
// -update writes them.
func TestTypes(t *testing.T) {
	const page = "../../docs/segments.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	head := "| type | address | user ID | a value as a field | one at the end of its range |\n| --- | --- | --- | --- | --- |\n"
	var pq, ar strings.Builder
	for _, s := range parquetSamples() {
		pq.WriteString(described(t, s.name, parquetFile(t, s)) + "\n")
	}
	for _, s := range groupSamples {
		pq.WriteString(described(t, s.name, groupFile(t, s)) + "\n")
	}
	for _, s := range arrowSamples {
		row := described(t, s.name, arrowFile(t, s.dt, s.json))
		ar.WriteString(row + "\n")
		for dt, json := range s.also { // in any order
			if got, want := described(t, s.name, arrowFile(t, dt, json)), cells(row, 4); cells(got, 4) != want {
				t.Errorf("%s in the row %s:\n%s", dt, row, got)
			}
		}
	}
	for _, bits := range []byte{32, 64} {
		ar.WriteString(described(t, fmt.Sprintf("decimal%d", bits), smallDecimals(t, bits)) + "\n")
	}
	for name, rows := range map[string]string{"parquet": pq.String(), "arrow": ar.String()} {
		begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->\n"
		before, rest, ok := strings.Cut(doc, begin)
		have, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the table of %s", page, name)
		}
		want := "\n" + head + rows + "\n"
		if have != want && !*update {
			t.Errorf("the table of %s in %s is not what becomes of the types; write it with: go test ./internal/interop -run TestTypes -update\n%s", name, page, want)
		}
		doc = before + begin + want + end + after
	}
	if *update {
		if err := os.WriteFile(page, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// cells returns the first cells of a table's row.
func cells(row string, n int) string {
	return strings.Join(strings.SplitN(row, " | ", n+1)[:n], " | ")
}

// groupSample is a type that Arrow's writer makes, with a logical type that it lacks, if there is one.
type groupSample struct {
	name    string
	dt      arrow.DataType
	json    string
	logical []byte // in LogicalType, in Thrift's compact protocol
}

var groupSamples = func() []groupSample {
	text, long, bytes := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64, arrow.BinaryTypes.Binary
	field := func(name string, dt arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: dt, Nullable: true}
	}
	const wkb = `["AQEAAAAAAAAAAIAlQBSuR+F69E1A", null]` // a point in Oslo
	return []groupSample{
		{"INT32 / UNKNOWN", arrow.Null, `[null, null]`, nil},
		{"BYTE_ARRAY / GEOMETRY", bytes, wkb, []byte{0x0c, 17 << 1, 0, 0}},
		{"BYTE_ARRAY / GEOGRAPHY", bytes, wkb, []byte{0x0c, 18 << 1, 0, 0}},
		{"group", arrow.StructOf(field("a", long)), `[{"a": 1}, {"a": null}]`, nil},
		{"group / LIST", arrow.ListOf(long), `[[1, null], []]`, nil},
		{"group / MAP, text as keys", arrow.MapOf(text, long), `[[{"key": "a", "value": 1}], []]`, nil},
		{"group / MAP, other keys", arrow.MapOf(long, long), `[[{"key": 1, "value": 2}], []]`, nil},
		{"group / VARIANT", arrow.StructOf(field("metadata", bytes), field("value", bytes)), `[{"metadata": "AQAA", "value": "DAc="}, {"metadata": "AQAA", "value": "/w=="}]`, []byte{0x0c, 16 << 1, 0, 0}},
	}
}()

// groupFile writes a sample with Arrow's writer.
func groupFile(t *testing.T, s groupSample) string {
	t.Helper()
	rec := record(t, s.dt, s.json)
	var b bytes.Buffer
	w, err := pqarrow.NewFileWriter(rec.Schema(), &b, nil, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	if s.logical != nil {
		at := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
		meta, err := metadata.NewFileMetaData(data[at:len(data)-8], nil)
		if err != nil {
			t.Fatal(err)
		}
		last := len(meta.FileMetaData.Schema) - 1 // the address, which is a text without an annotation too
		meta.FileMetaData.Schema[1].LogicalType, meta.FileMetaData.Schema[last].LogicalType = meta.FileMetaData.Schema[last].LogicalType, nil
		var footer bytes.Buffer
		if _, err := meta.WriteTo(&footer, nil); err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(footer.Bytes(), []byte{0x1c, 0, 0}, s.logical, 1) // in place of STRING
		data = binary.LittleEndian.AppendUint32(append(data[:at:at], changed...), uint32(len(changed)))
		data = append(data, "PAR1"...)
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type arrowSample struct {
	name string
	dt   arrow.DataType
	json string
	// also are the other types in the name, with the same first value.
	also map[arrow.DataType]string
}

var arrowSamples = func() []arrowSample {
	text, long := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64
	entry := arrow.Field{Name: "a", Type: long, Nullable: true}
	p, fixed := arrow.PrimitiveTypes, arrow.FixedWidthTypes
	one := func(json string, types ...arrow.DataType) map[arrow.DataType]string {
		out := map[arrow.DataType]string{}
		for _, dt := range types {
			out[dt] = json
		}
		return out
	}
	return []arrowSample{
		{"null", arrow.Null, `[null, null]`, nil},
		{"bool", fixed.Boolean, `[true, false]`, nil},
		{"int8, int16, int32, int64", long, `[7, -9223372036854775808]`, one(`[7, -128]`, p.Int8, p.Int16, p.Int32)},
		{"uint8, uint16, uint32, uint64", p.Uint64, `[7, 9223372036854775808]`, one(`[7, 255]`, p.Uint8, p.Uint16, p.Uint32)},
		{"float16, float32, float64", p.Float64, `[3, 1e300]`, one(`[3, 1]`, fixed.Float16, p.Float32)},
		{"decimal128, decimal256, scale > 0", &arrow.Decimal128Type{Precision: 38, Scale: 2}, `["12.50", "12345678901234567890.25"]`, one(`["12.50", "1"]`, &arrow.Decimal256Type{Precision: 76, Scale: 2})},
		{"decimal128, decimal256, scale 0", &arrow.Decimal128Type{Precision: 38}, `["12", "12345678901234567890"]`, one(`["12", "1"]`, &arrow.Decimal256Type{Precision: 76})},
		{"utf8, large_utf8, utf8_view", text, `["Oslo", "Bodø"]`, one(`["Oslo", "Bodø"]`, arrow.BinaryTypes.LargeString)},
		{"binary, large_binary, binary_view, fixed_size_binary", arrow.BinaryTypes.Binary, `["T3Nsbw==", "/w=="]`, one(`["T3Nsbw==", "/////w=="]`, arrow.BinaryTypes.LargeBinary, &arrow.FixedSizeBinaryType{ByteWidth: 4})},
		{"date32, date64", fixed.Date32, `["2024-02-29", "9999-12-31"]`, one(`["2024-02-29", "9999-12-31"]`, fixed.Date64)},
		{"timestamp with a zone", &arrow.TimestampType{Unit: arrow.Second, TimeZone: "Europe/Oslo"}, `["2024-02-29 12:00:00", "9999-12-31 22:00:00"]`, nil},
		{"timestamp without a zone", &arrow.TimestampType{Unit: arrow.Microsecond}, `["2024-02-29 13:00:00.25", "0001-01-01 00:00:00"]`,
			one(`["2024-02-29 13:00:00", "2024-02-29 13:00:01"]`, &arrow.TimestampType{Unit: arrow.Second}, &arrow.TimestampType{Unit: arrow.Millisecond}, &arrow.TimestampType{Unit: arrow.Nanosecond})},
		{"time32, time64", fixed.Time64us, `["13:00:00.25", "23:59:59"]`, one(`["13:00:00.25", "23:59:59"]`, fixed.Time32ms, fixed.Time64ns)},
		{"duration", fixed.Duration_s, `["129600s", "-1s"]`, one(`["129600s", "-1s"]`, fixed.Duration_ms, fixed.Duration_us, fixed.Duration_ns)},
		{"month_interval", fixed.MonthInterval, `[{"months": 14}, {"months": -1}]`, nil},
		{"day_time_interval", fixed.DayTimeInterval, `[{"days": 3, "milliseconds": 4005}, {"days": 0, "milliseconds": -1}]`, nil},
		{"month_day_nano_interval", fixed.MonthDayNanoInterval, `[{"months": 1, "days": 2, "nanoseconds": 3500000000}, {"months": 0, "days": 0, "nanoseconds": 0}]`, nil},
		{"list, large_list, fixed_size_list, list_view, large_list_view", arrow.ListOf(long), `[[1, null], []]`,
			one(`[[1, null], [2, 3]]`, arrow.LargeListOf(long), arrow.FixedSizeListOf(2, long), arrow.ListViewOf(long), arrow.LargeListViewOf(long))},
		{"struct", arrow.StructOf(entry), `[{"a": 1}, {"a": null}]`, nil},
		{"map with text as keys", arrow.MapOf(text, long), `[[{"key": "a", "value": 1}], []]`, nil},
		{"map with other keys", arrow.MapOf(long, long), `[[{"key": 1, "value": 2}], []]`, nil},
		{"dictionary, run_end_encoded: as their values", &arrow.DictionaryType{IndexType: p.Int8, ValueType: text}, `["Oslo", "Bodø"]`, one(`["Oslo", "Bodø"]`, arrow.RunEndEncodedOf(p.Int32, text))},
		{"sparse_union, dense_union", arrow.SparseUnionOf([]arrow.Field{entry}, []arrow.UnionTypeCode{0}), `[[0, 1], [0, null]]`, one(`[[0, 1], [0, null]]`, arrow.DenseUnionOf([]arrow.Field{entry}, []arrow.UnionTypeCode{0}))},
	}
}()

// record is a record of two rows, of the column v and an address.
func record(t *testing.T, dt arrow.DataType, json string) arrow.Record {
	t.Helper()
	v, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(json))
	if err != nil {
		t.Fatalf("%s: %v", dt, err)
	}
	email, _, err := array.FromJSON(memory.DefaultAllocator, arrow.BinaryTypes.String, strings.NewReader(`["a@x.com", "b@x.com"]`))
	if err != nil {
		t.Fatal(err)
	}
	s := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: true}, {Name: "email", Type: arrow.BinaryTypes.String}}, nil)
	return array.NewRecord(s, []arrow.Array{v, email}, 2)
}

func arrowFile(t *testing.T, dt arrow.DataType, json string) string {
	t.Helper()
	rec := record(t, dt, json)
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(rec.Schema()))
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.arrows")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallDecimals is a file with decimals of few bits, which Arrow v15 can't write.
func smallDecimals(t *testing.T, bits byte) string {
	t.Helper()
	path := arrowFile(t, &arrow.Decimal256Type{Precision: 5, Scale: 2}, `["1.25", null]`)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	width := []byte{0, 1, 0, 0} // 256
	for at := range data {
		if !bytes.HasPrefix(data[at:], width) {
			continue
		}
		changed := bytes.Clone(data)
		copy(changed[at:], []byte{bits, 0, 0, 0})
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := segment.Inspect(t.Context(), path, segment.Columns{UserID: "v"})
		if err != nil && strings.Contains(err.Error(), fmt.Sprintf("have %d bits", bits)) {
			return path
		}
	}
	t.Fatal("the schema does not have the bits of the decimals")
	return ""
}
