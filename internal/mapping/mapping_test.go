package mapping

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/schemas"
)

var (
	text = arrow.BinaryTypes.String
	long = arrow.PrimitiveTypes.Int64
)

func TestCompileRefuses(t *testing.T) {
	struct2 := func(name string) arrow.DataType { return arrow.StructOf(arrow.Field{Name: name, Type: text}) }
	deep := arrow.DataType(long)
	for range maxNesting + 1 {
		deep = arrow.ListOf(deep)
	}
	union := arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: text}}, []arrow.UnionTypeCode{0})
	for _, c := range []struct {
		name    string
		columns []Column
		nulls   string
		want    string // in the error; empty where it is accepted
	}{
		{"good names", []Column{{Name: "Életkor", Type: text}, {Name: "a b-c$", Type: text}, {Name: "x", As: "phoneNumber", Type: text}}, "send", ""},
		{"e-mail", []Column{{Name: "email", Type: text}}, "", "managed by Iterable"},
		{"e-mail in another case", []Column{{Name: "Email", Type: text}}, "", "managed by Iterable"},
		{"managed by renaming", []Column{{Name: "x", As: "signupDate", Type: text}}, "", "managed by Iterable"},
		{"managed by its beginning", []Column{{Name: "itblDSsomething", Type: text}}, "", "managed by Iterable"},
		{"managed last part of a path", []Column{{Name: "contact.email", Type: text}}, "", "managed by Iterable"},
		{"renamed away", []Column{{Name: "email", As: "secondEmail", Type: text}}, "", ""},
		{"dot", []Column{{Name: "x", As: "a.b", Type: text}}, "", "has a dot"},
		{"empty", []Column{{Name: "", Type: text}}, "", "is empty"},
		{"path that ends in a dot", []Column{{Name: "a.", Type: text}}, "", "is empty"},
		{"white space", []Column{{Name: " a", Type: text}}, "", "white space"},
		{"control character", []Column{{Name: "a\x00b", Type: text}}, "", "control character"},
		{"not UTF-8", []Column{{Name: "a\xff", Type: text}}, "", "UTF-8"},
		{"underscore", []Column{{Name: "_id", Type: text}}, "", "underscore"},
		{"comma", []Column{{Name: "a,b", Type: text}}, "", "comma"},
		{"hash", []Column{{Name: "a#b", Type: text}}, "", "hash"},
		{"digits", []Column{{Name: "2024", Type: text}}, "", "only digits"},
		{"long", []Column{{Name: strings.Repeat("x", maxName+1), Type: text}}, "", "longer than"},
		{"twice", []Column{{Name: "a", Type: text}, {Name: "b", As: "a", Type: text}}, "", "would both be sent"},
		{"twice but for case", []Column{{Name: "City", Type: text}, {Name: "b", As: "city", Type: text}}, "", "would both be sent"},
		{"union", []Column{{Name: "a", Type: union}}, "", "no JSON form"},
		{"list of unions", []Column{{Name: "a", Type: arrow.ListOf(union)}}, "", "no JSON form"},
		{"no type", []Column{{Name: "a"}}, "", "not known"},
		{"zone", []Column{{Name: "a", Type: &arrow.TimestampType{TimeZone: "Mars/Olympus"}}}, "", "time zone"},
		{"scale", []Column{{Name: "a", Type: &arrow.Decimal128Type{Precision: 10, Scale: 1 << 30}}}, "", "scale"},
		{"nesting", []Column{{Name: "a", Type: deep}}, "", "deep"},
		{"dot in a struct", []Column{{Name: "a", Type: struct2("b.c")}}, "", "has a dot"},
		{"managed name in a struct", []Column{{Name: "a", Type: struct2("email")}}, "", ""},
		{"struct with a name twice", []Column{{Name: "a", Type: arrow.StructOf(arrow.Field{Name: "b", Type: text}, arrow.Field{Name: "b", Type: text})}}, "", "twice"},
		{"unknown force", []Column{{Name: "a", Type: text, Forced: "text"}}, "", "is not known"},
		{"struct as string", []Column{{Name: "a", Type: struct2("b"), Forced: "string"}}, "", "can't be sent as type: string"},
		{"boolean as number", []Column{{Name: "a", Type: arrow.FixedWidthTypes.Boolean, Forced: "number"}}, "", "can't be sent as type: number"},
		{"list of integers as number", []Column{{Name: "a", Type: arrow.ListOf(long), Forced: "number"}}, "", "can't be sent as type: number"},
		{"integer as date", []Column{{Name: "a", Type: long, Forced: "date"}}, "", "can't be sent as type: date"},
		{"list of dates as date", []Column{{Name: "a", Type: arrow.ListOf(arrow.FixedWidthTypes.Date32), Forced: "date"}}, "", "can't be sent as type: date"},
		{"list of structs as object", []Column{{Name: "a", Type: arrow.ListOf(struct2("b")), Forced: "object"}}, "", "can't be sent as type: object"},
		{"map of integers as object", []Column{{Name: "a", Type: arrow.MapOf(long, text), Forced: "object"}}, "", "can't be sent as type: object"},
		{"float as boolean", []Column{{Name: "a", Type: arrow.PrimitiveTypes.Float64, Forced: "boolean"}}, "", "can't be sent as type: boolean"},
		{"struct as array", []Column{{Name: "a", Type: struct2("b"), Forced: "array"}}, "", "can't be sent as type: array"},
		{"nulls", nil, "keep", "nulls is"},
	} {
		_, err := Compile(c.columns, Options{Nulls: c.nulls})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
}

func TestCompileListsEverything(t *testing.T) {
	_, err := Compile([]Column{{Name: "email", Type: text}, {Name: "fine", Type: text}, {Name: "ip", Type: text}}, Options{})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two names are wrong, the error is %v", err)
	}
}

// table is a record of columns by name.
func table(names []string, cols ...arrow.Array) arrow.Record {
	fields := make([]arrow.Field, len(cols))
	for i, c := range cols {
		fields[i] = arrow.Field{Name: names[i], Type: c.DataType(), Nullable: true}
	}
	return array.NewRecord(arrow.NewSchema(fields, nil), cols, int64(cols[0].Len()))
}

func TestRows(t *testing.T) {
	rec := table([]string{"skip", "n", "s"}, parse(t, long, `[9,9,9]`), parse(t, long, `[1,null,null]`), parse(t, text, `["a","b",null]`))
	columns := []Column{{Index: 2, Name: "path.s", Type: text}, {Index: 1, Name: "n", As: `q"uote`, Type: long}}
	for nulls, want := range map[string][]string{
		schemas.NullsOmit: {`{"s":"a","q\"uote":1}`, `{"s":"b"}`, `{}`},
		schemas.NullsSend: {`{"s":"a","q\"uote":1}`, `{"s":"b","q\"uote":null}`, `{"s":null,"q\"uote":null}`},
	} {
		m, err := Compile(columns, Options{Nulls: nulls})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Bind(rec); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got, bad := m.Append(nil, i); bad != nil || string(got) != w {
				t.Errorf("row %d with nulls %s is %s (%v) instead of %s", i, nulls, got, bad, w)
			}
		}
	}
}

// TestNullsInside checks the fields of structs and the values of maps, which
// follow the setting, and the elements of arrays, which do not.
func TestNullsInside(t *testing.T) {
	structs := arrow.StructOf(arrow.Field{Name: "a", Type: text, Nullable: true}, arrow.Field{Name: "b", Type: arrow.ListOf(long), Nullable: true})
	for _, c := range []struct {
		arr        arrow.Array
		omit, send string
	}{
		{parse(t, structs, `[{"a":null,"b":[null,1]}]`), `{"v":{"b":[null,1]}}`, `{"v":{"a":null,"b":[null,1]}}`},
		{parse(t, arrow.MapOf(text, long), `[[{"key":"x","value":null},{"key":"y","value":1}]]`), `{"v":{"y":1}}`, `{"v":{"x":null,"y":1}}`},
		{parse(t, arrow.MapOf(long, long), `[[{"key":1,"value":null}]]`), `{"v":[{"key":1,"value":null}]}`, `{"v":[{"key":1,"value":null}]}`},
	} {
		s := sample{name: c.arr.DataType().String(), arr: c.arr}
		if omit, send := rows(t, s, schemas.NullsOmit)[0], rows(t, s, schemas.NullsSend)[0]; omit != c.omit || send != c.send {
			t.Errorf("%s is %s and %s", s.name, omit, send)
		}
	}
}

func TestInvalidValueDoesNotTellTheValue(t *testing.T) {
	m, err := Compile([]Column{{Name: "a.b", As: "c", Type: text, Forced: "number"}}, Options{OnInvalid: schemas.InvalidReject})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Bind(table([]string{"b"}, parse(t, text, `["secret"]`))); err != nil {
		t.Fatal(err)
	}
	_, bad := m.Append(nil, 0)
	if bad == nil || bad.Column != "a.b" || bad.Field != "c" || strings.Contains(bad.Problem, "secret") {
		t.Errorf("the trouble is %v", bad)
	}
}

func TestBind(t *testing.T) {
	m, err := Compile([]Column{{Name: "n", Type: arrow.PrimitiveTypes.Int32}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	union := array.NewBuilder(memory.DefaultAllocator, arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: text}}, []arrow.UnionTypeCode{0}))
	damaged := array.MakeFromData(array.NewData(text, 2, []*memory.Buffer{nil,
		memory.NewBufferBytes(arrow.Int32Traits.CastToBytes([]int32{0, 9, 3})), memory.NewBufferBytes([]byte("abc"))}, nil, 0, 0))
	for name, c := range map[string]struct {
		arr  arrow.Array
		want string
	}{
		"another type": {parse(t, text, `["a"]`), ""},
		"no rows":      {parse(t, text, `[]`), ""},
		"no form":      {union.NewArray(), "no JSON form"},
		"damaged":      {damaged, "damaged"},
	} {
		err := m.Bind(table([]string{"n"}, c.arr))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
}

func TestBindWithoutTheColumn(t *testing.T) {
	m, err := Compile([]Column{{Index: 1, Name: "n", Type: long}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Bind(table([]string{"n"}, parse(t, long, `[1]`))); err == nil || !strings.Contains(err.Error(), "there is no column") {
		t.Errorf("a record of one column is bound: %v", err)
	}
}

// TestDictionaries checks that what is kept of one dictionary does not show up
// with another, and that bad indices are noticed.
func TestDictionaries(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: text}
	m, err := Compile([]Column{{Name: "d", Type: dt}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, second := parse(t, text, `["a",null,"c"]`), parse(t, text, `["x","y","z"]`)
	bind := func(dict arrow.Array, indices string) {
		t.Helper()
		arr := array.NewDictionaryArray(dt, parse(t, arrow.PrimitiveTypes.Int8, indices), dict)
		if err := m.Bind(table([]string{"d"}, arr)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(i int, want string) {
		t.Helper()
		if got, bad := m.Append(nil, i); bad != nil || string(got) != want {
			t.Errorf("row %d is %s (%v) instead of %s", i, got, bad, want)
		}
	}
	bind(first, `[0,2,0,1,null]`)
	for i, want := range []string{`{"d":"a"}`, `{"d":"c"}`, `{"d":"a"}`, `{}`, `{}`} {
		expect(i, want)
	}
	bind(first, `[2,0]`)
	expect(0, `{"d":"c"}`)
	expect(1, `{"d":"a"}`)
	bind(second, `[2,0]`)
	expect(0, `{"d":"z"}`)
	expect(1, `{"d":"x"}`)
	bind(second, `[3]`)
	if _, bad := m.Append(nil, 0); bad == nil || !strings.Contains(bad.Problem, "damaged") {
		t.Errorf("an index beyond the dictionary gives %v", bad)
	}
}

// TestARowIsBounded writes rows that stand for far more JSON than there are bytes
// in the record: one text, named a million times.
func TestARowIsBounded(t *testing.T) {
	const most, times = 1 << 20, 1_000_000
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: text}
	dict := array.NewDictionaryArray(dt, build(arrow.PrimitiveTypes.Int32, func(b *array.Int32Builder) { b.AppendValues(make([]int32, times), nil) }),
		build(text, func(b *array.StringBuilder) { b.Append(strings.Repeat("x", most/4)) }))
	inOne := func(offsets ...int32) *memory.Buffer {
		return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))
	}
	nested := func(dt arrow.DataType, child arrow.ArrayData) arrow.Array {
		return array.MakeFromData(array.NewData(dt, 1, []*memory.Buffer{nil, inOne(0, times)}, []arrow.ArrayData{child}, 0, 0))
	}
	long := func(s string) arrow.Array { return build(text, func(b *array.StringBuilder) { b.Append(s) }) }
	entry := arrow.StructOf(arrow.Field{Name: "key", Type: dt}, arrow.Field{Name: "value", Type: dt, Nullable: true})
	for name, c := range map[string]struct {
		arr    arrow.Array
		forced string
	}{
		"a list of one text": {nested(arrow.ListOf(dt), dict.Data()), ""},
		"a map of one text":  {nested(arrow.MapOf(dt, dt), array.NewData(entry, times, []*memory.Buffer{nil}, []arrow.ArrayData{dict.Data(), dict.Data()}, 0, 0)), ""},
		"a list of nulls":    {nested(arrow.ListOf(arrow.Null), array.NewNull(times).Data()), ""},
		"a text":             {long(strings.Repeat("x", 50<<20)), ""},
		"zeros":              {long(strings.Repeat("\x00", most-1)), ""},
		"an object":          {long(`{"a":"` + strings.Repeat("x", most) + `"}`), "object"},
		"bytes":              {build(arrow.BinaryTypes.Binary, func(b *array.BinaryBuilder) { b.Append(make([]byte, most)) }), ""},
	} {
		m, err := Compile([]Column{{Name: "v", Type: c.arr.DataType(), Forced: c.forced}}, Options{MostBytes: most})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Bind(table([]string{"v"}, c.arr)); err != nil {
			t.Fatal(err)
		}
		before := []byte("before")
		got, bad := m.Append(before, 0)
		if bad == nil || !bad.TooLarge || bad.Column != "v" || string(got) != "before" {
			t.Errorf("%s: %d bytes, %v", name, len(got), bad)
		}
		if most := 8 * most; cap(got) > most {
			t.Errorf("%s: %d bytes were taken", name, cap(got))
		}
	}
}

func typesOf(m *Mapper) map[string]string {
	types := map[string]string{}
	for _, f := range m.Fields() {
		types[f.Field] = f.Type
	}
	return types
}

func TestNewFields(t *testing.T) {
	var fields []schemas.MappedField
	for _, name := range []string{"ltv", "address", "address.city", "homes", "homes.zip", "homes", "nothing"} {
		fields = append(fields, schemas.MappedField{Field: name})
	}
	for _, c := range []struct {
		existing []string
		want     string
	}{
		{nil, "[ltv address address.city homes homes.zip nothing]"},
		{[]string{"LTV", "address", "nothing"}, "[ltv address.city homes homes.zip]"},
		{[]string{"ltv", "address.city", "homes.zip.plus", "nothing"}, "[]"},
	} {
		existing := map[string]string{}
		for _, name := range c.existing {
			existing[name] = "string"
		}
		if got := fmt.Sprint(NewFields(fields, existing)); got != c.want {
			t.Errorf("beside %v: %s instead of %s", c.existing, got, c.want)
		}
	}
}

func TestClashes(t *testing.T) {
	address := arrow.StructOf(arrow.Field{Name: "city", Type: text}, arrow.Field{Name: "zip", Type: long})
	m, err := Compile([]Column{
		{Name: "LifetimeValue", As: "ltv", Type: arrow.PrimitiveTypes.Float64},
		{Name: "visits", Type: long},
		{Name: "since", Type: arrow.FixedWidthTypes.Date32},
		{Name: "tags", Type: arrow.ListOf(text)},
		{Name: "address", Type: address},
		{Name: "homes", Type: arrow.ListOf(address)},
		{Name: "nothing", Type: arrow.Null},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	types := typesOf(m)
	delete(types, "nothing") // whose type only values decide
	if got := fmt.Sprint(types); got != "map[address:object address.city:string address.zip:long homes:object homes.city:string homes.zip:long ltv:double since:date tags:string visits:long]" {
		t.Errorf("the types are %s", got)
	}
	for _, c := range []struct {
		existing map[string]string
		want     string
	}{
		{nil, ""},
		{types, ""},
		{map[string]string{"visits": "double", "since": "Date", "other": "string", "homes": "nested", "tags": "something new", "nothing": "long"}, ""},
		{map[string]string{"ltv": "long"}, "ltv double long true"},
		{map[string]string{"ltv": "string", "visits": "boolean"}, "ltv double string false, visits long boolean false"},
		{map[string]string{"tags": "long", "since": "string"}, "tags string long false"},
		{map[string]string{"since": "long"}, "since date long false"},
		{map[string]string{"address.zip": "string", "address": "string"}, "address object string false, address.zip long string false"},
	} {
		var got []string
		for _, clash := range Clashes(m.Fields(), c.existing) {
			got = append(got, fmt.Sprintf("%s %s %s %t", clash.Field, clash.Ours, clash.Existing, clash.Lossy))
			if !strings.Contains(clash.String(), clash.Column) {
				t.Errorf("%q does not name the column", clash)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("against %v: %q instead of %q", c.existing, got, c.want)
		}
	}
}

func TestCheckUserID(t *testing.T) {
	longest := strings.Repeat("ø", maxUserID)
	for _, id := range []string{"C-1", "a b", "ÅSE", longest, "x", "-1"} {
		if reason := CheckUserID([]byte(id)); reason != "" {
			t.Errorf("%q is refused: %s", id, reason)
		}
	}
	for _, id := range []string{"", " a", "a ", "a\n", "a\u00a0", longest + "x", "a\xff"} {
		if reason := CheckUserID([]byte(id)); reason != schemas.ReasonInvalidUserID {
			t.Errorf("%q is not refused: %q", id, reason)
		}
	}
}

// FuzzRow checks that every row is JSON or refused, and that texts come back.
func FuzzRow(f *testing.F) {
	f.Add("a\u2028\x00\"\\", []byte{0xff}, int64(-1), 1.5, "2006-01-02 15:04:05")
	f.Add("\xed\xa0\x80", []byte{}, int64(math.MinInt64), math.NaN(), `{"a":1}`)
	f.Add("é\xff", []byte("x"), int64(1)<<60, 1e-320, "[1]")
	unit := func(u arrow.TimeUnit) arrow.DataType {
		return &arrow.TimestampType{Unit: u, TimeZone: "America/New_York"}
	}
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: text}
	f.Fuzz(func(t *testing.T, s string, raw []byte, n int64, x float64, other string) {
		cols := []arrow.Array{
			build(text, func(b *array.StringBuilder) { b.Append(s) }),
			build(arrow.BinaryTypes.Binary, func(b *array.BinaryBuilder) { b.Append(raw) }),
			build(long, func(b *array.Int64Builder) { b.Append(n) }),
			build(arrow.PrimitiveTypes.Float64, func(b *array.Float64Builder) { b.Append(x) }),
			build(arrow.PrimitiveTypes.Float32, func(b *array.Float32Builder) { b.Append(float32(x)) }),
			build(unit(arrow.Nanosecond), func(b *array.TimestampBuilder) { b.Append(arrow.Timestamp(n)) }),
			build(unit(arrow.Second), func(b *array.TimestampBuilder) { b.Append(arrow.Timestamp(n)) }),
			build(arrow.FixedWidthTypes.Duration_us, func(b *array.DurationBuilder) { b.Append(arrow.Duration(n)) }),
			build(arrow.FixedWidthTypes.Time64ns, func(b *array.Time64Builder) { b.Append(arrow.Time64(n)) }),
			build(arrow.FixedWidthTypes.Date64, func(b *array.Date64Builder) { b.Append(arrow.Date64(n)) }),
			build(arrow.FixedWidthTypes.MonthDayNanoInterval, func(b *array.MonthDayNanoIntervalBuilder) {
				b.Append(arrow.MonthDayNanoInterval{Months: int32(n), Days: int32(n >> 32), Nanoseconds: n})
			}),
			build(dict, func(b *array.BinaryDictionaryBuilder) { _ = b.AppendString(s) }),
		}
		for i, arr := range cols {
			check(t, s, arr, "", i == 0 || i == len(cols)-1)
		}
		texts := build(text, func(b *array.StringBuilder) { b.Append(other) })
		for _, force := range []string{forceString, forceNumber, forceBoolean, forceDate, forceObject, forceArray} {
			check(t, other, texts, force, force == forceString)
		}
	})
}

// check appends row 0 of an array and looks at what comes of it; s is the text
// that must come back where isText is set.
func check(t *testing.T, s string, arr arrow.Array, force string, isText bool) {
	m, err := Compile([]Column{{Name: "v", Type: arr.DataType(), Forced: force}}, Options{OnInvalid: schemas.InvalidReject})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Bind(table([]string{"v"}, arr)); err != nil {
		t.Fatal(err)
	}
	row, bad := m.Append(nil, 0)
	if bad != nil {
		if isText && utf8.ValidString(s) {
			t.Errorf("a good text is refused: %v", bad)
		}
		return
	}
	var got map[string]any
	if err := json.Unmarshal(row, &got); err != nil {
		t.Fatalf("%s as %q is no JSON: %v", arr.DataType(), force, err)
	}
	if isText && got["v"] != s {
		t.Errorf("%q comes back as %q", s, got["v"])
	}
	if f, ok := arr.(*array.Float64); ok && got["v"] != f.Value(0) {
		t.Errorf("%g comes back as %v", f.Value(0), got["v"])
	}
}

// TestValuesThatCanNotBeSentAreLeftOut: the rest of the row is sent, and people see
// how many values are missing, of which column and why.
func TestValuesThatCanNotBeSentAreLeftOut(t *testing.T) {
	columns := []Column{{Name: "last_login", Type: text, Forced: "date"}, {Index: 1, Name: "score", Type: arrow.PrimitiveTypes.Float64}, {Index: 2, Name: "city", Type: arrow.BinaryTypes.Binary}}
	rec := func() arrow.Record {
		scores := array.NewFloat64Builder(memory.DefaultAllocator)
		scores.AppendValues([]float64{math.NaN(), 2, 3, 4}, nil)
		cities := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
		cities.AppendValues([][]byte{[]byte("Oslo"), []byte("Bergen"), {0xff, 0xfe}, []byte("Bodø")}, nil)
		return table([]string{"l", "s", "c"}, parse(t, text, `["0000-00-00","2026-11-25T08:15:30.000+0000","","2026-11-25"]`), scores.NewArray(), cities.NewArray())
	}
	m, err := Compile(columns, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Bind(rec()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`{"city":"Oslo"}`, `{"last_login":"2026-11-25 08:15:30 +00:00","score":2.0,"city":"Bergen"}`,
		`{"score":3.0}`, `{"last_login":"2026-11-25","score":4.0,"city":"Bodø"}`,
	} {
		if got, bad := m.Append(nil, i); bad != nil || string(got) != want {
			t.Errorf("row %d is %s, %v", i, got, bad)
		}
	}
	got := fmt.Sprint(m.LeftOut())
	if want := "[{city is not valid UTF-8 (type: base64 sends any bytes) 1} {last_login is a text that can't be read as the type that the mapping asks for 2} {score is NaN (not a number) 1}]"; got != want {
		t.Errorf("left out: %s", got)
	}
	if w := strings.Join(m.Warnings(), "\n"); !strings.Contains(w, "column last_login: 2 values were left out") {
		t.Errorf("warnings: %s", w)
	}
	strict, err := Compile(columns, Options{OnInvalid: schemas.InvalidReject})
	if err != nil {
		t.Fatal(err)
	}
	if err := strict.Bind(rec()); err != nil {
		t.Fatal(err)
	}
	for i, column := range []string{"last_login", "", "last_login", ""} {
		_, bad := strict.Append(nil, i)
		if (bad == nil) != (column == "") || bad != nil && bad.Column != column {
			t.Errorf("row %d is refused for %v", i, bad)
		}
	}
}

func TestBytesAreText(t *testing.T) {
	for _, c := range []struct {
		dt          arrow.DataType
		force, want string
	}{
		{arrow.BinaryTypes.Binary, "", `{"v":"{\"a\":1}"}`},
		{arrow.BinaryTypes.LargeBinary, "string", `{"v":"{\"a\":1}"}`},
		{&arrow.FixedSizeBinaryType{ByteWidth: 7}, "object", `{"v":{"a":1}}`},
		{arrow.BinaryTypes.Binary, "base64", `{"v":"eyJhIjoxfQ=="}`},
		{text, "base64", `{"v":"eyJhIjoxfQ=="}`},
	} {
		json := `["eyJhIjoxfQ=="]`
		if c.dt == text {
			json = `["{\"a\":1}"]`
		}
		s := sample{name: c.dt.String(), arr: parse(t, c.dt, json), force: c.force}
		if got := rows(t, s, schemas.NullsOmit); got[0] != c.want || got[len(got)-1] != "type: "+map[bool]string{true: "object", false: "string"}[c.force == "object"] {
			t.Errorf("%s as %q is %v", c.dt, c.force, got)
		}
	}
}
