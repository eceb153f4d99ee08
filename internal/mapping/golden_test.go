package mapping

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/decimal256"
	"github.com/apache/arrow/go/v15/arrow/float16"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

var update = flag.Bool("update", false, "write the golden file anew")

// build fills an array of the type.
func build[B array.Builder](dt arrow.DataType, fill func(B)) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	fill(b.(B))
	return b.NewArray()
}

// parse makes an array of Arrow's own JSON notation.
func parse(t testing.TB, dt arrow.DataType, text string) arrow.Array {
	t.Helper()
	arr, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", dt, err)
	}
	return arr
}

func pow10(t testing.TB, digits string) decimal256.Num {
	t.Helper()
	n, err := decimal256.FromString(digits, 76, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type sample struct {
	name  string
	arr   arrow.Array
	force string
}

// samples has every type of Arrow, with its extremes and a null.
func samples(t testing.TB) []sample {
	zone := func(unit arrow.TimeUnit, name string) arrow.DataType {
		return &arrow.TimestampType{Unit: unit, TimeZone: name}
	}
	moments := func(dt arrow.DataType, v ...arrow.Timestamp) arrow.Array {
		return build(dt, func(b *array.TimestampBuilder) { b.AppendValues(v, nil); b.AppendNull() })
	}
	integers := func(dt arrow.DataType, least, most string) arrow.Array {
		return parse(t, dt, "[0,"+least+","+most+",null]")
	}
	structs := arrow.StructOf(arrow.Field{Name: "city", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "n", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64), Nullable: true})
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	return []sample{
		{"null", array.NewNull(2), ""},
		{"bool", parse(t, arrow.FixedWidthTypes.Boolean, "[true,false,null]"), ""},
		{"int8", integers(arrow.PrimitiveTypes.Int8, "-128", "127"), ""},
		{"int16", integers(arrow.PrimitiveTypes.Int16, "-32768", "32767"), ""},
		{"int32", integers(arrow.PrimitiveTypes.Int32, "-2147483648", "2147483647"), ""},
		{"int64", build(arrow.PrimitiveTypes.Int64, func(b *array.Int64Builder) {
			b.AppendValues([]int64{0, exactInteger, exactInteger + 1, -exactInteger, -exactInteger - 1, math.MinInt64, math.MaxInt64}, nil)
			b.AppendNull()
		}), ""},
		{"uint8", integers(arrow.PrimitiveTypes.Uint8, "1", "255"), ""},
		{"uint16", integers(arrow.PrimitiveTypes.Uint16, "1", "65535"), ""},
		{"uint32", integers(arrow.PrimitiveTypes.Uint32, "1", "4294967295"), ""},
		{"uint64", build(arrow.PrimitiveTypes.Uint64, func(b *array.Uint64Builder) {
			b.AppendValues([]uint64{0, exactInteger, exactInteger + 1, math.MaxUint64}, nil)
		}), ""},
		{"float16", build(arrow.FixedWidthTypes.Float16, func(b *array.Float16Builder) {
			for _, x := range []float32{0, 1.5, -2, 65504, float32(math.NaN()), float32(math.Inf(1))} {
				b.Append(float16.New(x))
			}
			b.AppendNull()
		}), ""},
		{"float32", build(arrow.PrimitiveTypes.Float32, func(b *array.Float32Builder) {
			b.AppendValues([]float32{3, 0.1, 1e-7, 1e21, math.MaxFloat32, float32(math.NaN())}, nil)
		}), ""},
		{"float64", build(arrow.PrimitiveTypes.Float64, func(b *array.Float64Builder) {
			b.AppendValues([]float64{0, math.Copysign(0, -1), 3, 3.5, 0.1, 1e20, 1e21, 1e-6, 1e-7, 5e-324, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}, nil)
		}), ""},
		{"decimal128(38, 2)", build(&arrow.Decimal128Type{Precision: 38, Scale: 2}, func(b *array.Decimal128Builder) {
			for _, x := range []int64{0, 5, -5, 1250, 99999, 999999999999999, 1234567890123456, -9223372036854775808} {
				b.Append(decimal128.FromI64(x))
			}
			b.Append(decimal128.GetMaxValue(38))
			b.AppendNull()
		}), ""},
		{"decimal128(19, 0)", build(&arrow.Decimal128Type{Precision: 19, Scale: 0}, func(b *array.Decimal128Builder) {
			for _, x := range []int64{0, -7, exactInteger, exactInteger + 1} {
				b.Append(decimal128.FromI64(x))
			}
		}), ""},
		{"decimal128(19, -3)", build(&arrow.Decimal128Type{Precision: 19, Scale: -3}, func(b *array.Decimal128Builder) {
			for _, x := range []int64{0, 12, 9007199254740, 9007199254741, 123456789012345} {
				b.Append(decimal128.FromI64(x))
			}
		}), ""},
		{"decimal256(76, 10)", build(&arrow.Decimal256Type{Precision: 76, Scale: 10}, func(b *array.Decimal256Builder) {
			b.Append(decimal256.FromI64(-12345))
			b.Append(pow10(t, strings.Repeat("9", 76)))
		}), ""},
		{"utf8", parse(t, arrow.BinaryTypes.String, `["", "Tromsø", "a\"b\\c\n\t\u0000\u007f", "\u2028\u2029<&>", "😀", null]`), ""},
		{"utf8, invalid", build(arrow.BinaryTypes.String, func(b *array.StringBuilder) { b.Append("a\xff"); b.Append("\xed\xa0\x80") }), ""},
		{"large_utf8", parse(t, arrow.BinaryTypes.LargeString, `["a", null]`), ""},
		{"binary", parse(t, arrow.BinaryTypes.Binary, `["", "AP8=", null]`), ""},
		{"large_binary", parse(t, arrow.BinaryTypes.LargeBinary, `["AP8="]`), ""},
		{"fixed_size_binary", parse(t, &arrow.FixedSizeBinaryType{ByteWidth: 3}, `["AAEC", null]`), ""},
		{"date32", build(arrow.FixedWidthTypes.Date32, func(b *array.Date32Builder) {
			b.AppendValues([]arrow.Date32{0, -1, 19782, 11016, firstDay, lastDay, firstDay - 1, lastDay + 1, math.MaxInt32}, nil)
			b.AppendNull()
		}), ""},
		{"date64", build(arrow.FixedWidthTypes.Date64, func(b *array.Date64Builder) {
			b.AppendValues([]arrow.Date64{0, -1, 1709210096000, math.MaxInt64, math.MinInt64}, nil)
		}), ""},
		{"timestamp[s]", moments(zone(arrow.Second, ""), 0, -1, 1709210096, firstDay*daySeconds, (lastDay+1)*daySeconds-1, (lastDay+1)*daySeconds, math.MinInt64), ""},
		{"timestamp[ms, UTC]", moments(zone(arrow.Millisecond, "UTC"), 1709210096789, -1), ""},
		{"timestamp[us, Europe/Oslo]", moments(zone(arrow.Microsecond, "Europe/Oslo"), 1709210096789012, 1719792000000000, 1711846799999999, 1711846800000000, -3000000000000000), ""},
		{"timestamp[ns, America/St_Johns]", moments(zone(arrow.Nanosecond, "America/St_Johns"), 1709210096789012345), ""},
		{"timestamp[s, +05:30]", moments(zone(arrow.Second, "+05:30"), 1709210096, (lastDay+1)*daySeconds-1), ""},
		{"time32[s]", build(arrow.FixedWidthTypes.Time32s, func(b *array.Time32Builder) { b.AppendValues([]arrow.Time32{0, 86399, 86400, -1}, nil) }), ""},
		{"time32[ms]", build(arrow.FixedWidthTypes.Time32ms, func(b *array.Time32Builder) { b.AppendValues([]arrow.Time32{3723250}, nil) }), ""},
		{"time64[us]", build(arrow.FixedWidthTypes.Time64us, func(b *array.Time64Builder) { b.AppendValues([]arrow.Time64{1}, nil) }), ""},
		{"time64[ns]", build(arrow.FixedWidthTypes.Time64ns, func(b *array.Time64Builder) { b.AppendValues([]arrow.Time64{86399999999999}, nil) }), ""},
		{"duration[s]", build(arrow.FixedWidthTypes.Duration_s, func(b *array.DurationBuilder) {
			b.AppendValues([]arrow.Duration{0, 59, 3600, 90061, -60, math.MinInt64}, nil)
		}), ""},
		{"duration[ns]", build(arrow.FixedWidthTypes.Duration_ns, func(b *array.DurationBuilder) {
			b.AppendValues([]arrow.Duration{1, -500000000, math.MinInt64}, nil)
		}), ""},
		{"month_interval", build(arrow.FixedWidthTypes.MonthInterval, func(b *array.MonthIntervalBuilder) { b.AppendValues([]arrow.MonthInterval{14, 0, -1}, nil) }), ""},
		{"day_time_interval", build(arrow.FixedWidthTypes.DayTimeInterval, func(b *array.DayTimeIntervalBuilder) {
			b.AppendValues([]arrow.DayTimeInterval{{Days: 3, Milliseconds: 4005}, {Milliseconds: -1}}, nil)
		}), ""},
		{"month_day_nano_interval", build(arrow.FixedWidthTypes.MonthDayNanoInterval, func(b *array.MonthDayNanoIntervalBuilder) {
			b.AppendValues([]arrow.MonthDayNanoInterval{{Months: 1, Days: -2, Nanoseconds: 3500000000}, {}, {Nanoseconds: math.MinInt64}}, nil)
		}), ""},
		{"list<int64>", parse(t, arrow.ListOf(arrow.PrimitiveTypes.Int64), `[[1,null,3],[],null]`), ""},
		{"list<list<utf8>>", parse(t, arrow.ListOf(arrow.ListOf(arrow.BinaryTypes.String)), `[[["a"],[]],[null]]`), ""},
		{"large_list<bool>", parse(t, arrow.LargeListOf(arrow.FixedWidthTypes.Boolean), `[[true],null]`), ""},
		{"fixed_size_list<int8>", parse(t, arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int8), `[[1,2],null]`), ""},
		{"list_view<int8>", parse(t, arrow.ListViewOf(arrow.PrimitiveTypes.Int8), `[[1,2],[3],null]`), ""},
		{"large_list_view<int8>", parse(t, arrow.LargeListViewOf(arrow.PrimitiveTypes.Int8), `[[1,2],null]`), ""},
		{"struct", parse(t, structs, `[{"city":"Oslo","n":[1]},{"city":null,"n":null},{"city":null,"n":[]},null]`), ""},
		{"list<struct>", parse(t, arrow.ListOf(structs), `[[{"city":"Oslo","n":null},null]]`), ""},
		{"map<utf8, int32>", parse(t, arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32), `[[{"key":"a","value":1},{"key":"b","value":null}],[],null]`), ""},
		{"map<int32, utf8>", parse(t, arrow.MapOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String), `[[{"key":1,"value":"a"},{"key":2,"value":null}],[]]`), ""},
		{"dictionary<int8, utf8>", parse(t, dict, `["a","b","a",null]`), ""},
		{"list<dictionary>", parse(t, arrow.ListOf(dict), `[["a","b"],["a",null]]`), ""},

		{"int64 as string", build(arrow.PrimitiveTypes.Int64, func(b *array.Int64Builder) {
			b.AppendValues([]int64{1, math.MaxInt64}, nil)
			b.AppendNull()
		}), "string"},
		{"float64 as string", parse(t, arrow.PrimitiveTypes.Float64, "[3,3.5]"), "string"},
		{"bool as string", parse(t, arrow.FixedWidthTypes.Boolean, "[true]"), "string"},
		{"date32 as string", parse(t, arrow.FixedWidthTypes.Date32, `["2024-02-29"]`), "string"},
		{"dictionary<int8, utf8> as string", parse(t, dict, `["a",null]`), "string"},
		{"uint64 as number", build(arrow.PrimitiveTypes.Uint64, func(b *array.Uint64Builder) { b.Append(math.MaxUint64) }), "number"},
		{"decimal128 as number", parse(t, &arrow.Decimal128Type{Precision: 30, Scale: 2}, `["1234567890123456789.25"]`), "number"},
		{"utf8 as number", parse(t, arrow.BinaryTypes.String, `[" 12.50 ","-1e3","","01","1e999","NaN","0x1","true",null]`), "number"},
		{"duration[ms] as number", build(arrow.FixedWidthTypes.Duration_ms, func(b *array.DurationBuilder) { b.AppendValues([]arrow.Duration{-1500, 0, 60000}, nil) }), "number"},
		{"utf8 as boolean", parse(t, arrow.BinaryTypes.String, `["TRUE","false","1","0","yes"]`), "boolean"},
		{"int8 as boolean", parse(t, arrow.PrimitiveTypes.Int8, `[1,0,2,null]`), "boolean"},
		{"utf8 as date", parse(t, arrow.BinaryTypes.String, `["2024-02-29","2023-02-29","2024-02-29T12:34:56.789Z","2024-02-29 12:34:56","2024-02-29 12:34:56 -03:30","2024-02-29T12:34:56+01:00","tomorrow","0000-01-01"]`), "date"},
		{"timestamp as date", moments(zone(arrow.Second, ""), 0), "date"},
		{"utf8 as object", parse(t, arrow.BinaryTypes.String, `["{\"a\": [1]}","[1]","{","{}{}"]`), "object"},
		{"utf8 as array", parse(t, arrow.BinaryTypes.String, `["[1, 2]","{}"]`), "array"},
		{"list<int8> as array", parse(t, arrow.ListOf(arrow.PrimitiveTypes.Int8), `[[1]]`), "array"},
		{"struct as object", parse(t, structs, `[{"city":"Oslo","n":[1]}]`), "object"},
	}
}

// rows is every row of an array, through a mapper of one column.
func rows(t testing.TB, s sample, nulls string) []string {
	t.Helper()
	m, err := Compile([]Column{{Name: "v", Type: s.arr.DataType(), Forced: s.force}}, Options{Nulls: nulls, OnInvalid: schemas.InvalidReject})
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	rec := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "v", Type: s.arr.DataType(), Nullable: true}}, nil), []arrow.Array{s.arr}, int64(s.arr.Len()))
	if err := m.Bind(rec); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	var out []string
	for i := range s.arr.Len() {
		row, bad := m.Append([]byte("before"), i)
		switch {
		case !strings.HasPrefix(string(row), "before"):
			t.Errorf("%s: row %d overwrites what stands before it", s.name, i)
		case bad != nil && len(row) != len("before"):
			t.Errorf("%s: row %d is invalid and leaves something behind", s.name, i)
		case bad != nil:
			out = append(out, "! "+bad.Problem)
		case !json.Valid(row[len("before"):]):
			t.Errorf("%s: row %d is not JSON: %s", s.name, i, row)
		default:
			out = append(out, string(row[len("before"):]))
		}
	}
	for _, w := range m.Warnings() {
		out = append(out, "warning: "+w)
	}
	kind := typesOf(m)["v"]
	return append(out, "type: "+kind)
}

// TestGolden compares the JSON of every type with testdata/types.golden, which
// go test -update writes.
func TestGolden(t *testing.T) {
	const file = "testdata/types.golden"
	var out strings.Builder
	for _, s := range samples(t) {
		fmt.Fprintf(&out, "# %s\n%s\n", s.name, strings.Join(rows(t, s, schemas.NullsSend), "\n"))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("line %d of %s:\n got %q\nwant %q", i+1, file, append(got, "")[min(i, len(got))], append(wanted, "")[min(i, len(wanted))])
		}
	}
}

// TestSlices checks that a slice of an array gives what the whole one gives.
func TestSlices(t *testing.T) {
	for _, s := range samples(t) {
		n := s.arr.Len()
		if n < 2 {
			continue
		}
		whole := rows(t, s, schemas.NullsOmit)[1:n]
		s.arr = array.NewSlice(s.arr, 1, int64(n))
		if sliced := rows(t, s, schemas.NullsOmit)[:n-1]; strings.Join(sliced, "\n") != strings.Join(whole, "\n") {
			t.Errorf("%s: a slice gives %q instead of %q", s.name, sliced, whole)
		}
	}
}
