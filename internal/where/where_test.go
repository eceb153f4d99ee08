package where

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// now is what the tests' moments are relative to.
var now = time.Date(2026, 3, 31, 12, 0, 0, 5, time.UTC)

func condition(t testing.TB, text string) *schemas.Condition {
	t.Helper()
	c := new(schemas.Condition)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func fromJSON(t testing.TB, dt arrow.DataType, text string) arrow.Array {
	t.Helper()
	arr, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return arr
}

// reversed returns a dictionary of the values, with the last one first.
func reversed(t testing.TB, values arrow.Array) arrow.Array {
	t.Helper()
	n := values.Len()
	index := array.NewInt32Builder(memory.DefaultAllocator)
	for i := range n {
		index.Append(int32(n - 1 - i))
	}
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: values.DataType()}
	return array.NewDictionaryArray(dt, index.NewArray(), values)
}

// TestRows has a column x in each case, and which of its values match.
func TestRows(t *testing.T) {
	text, micros := arrow.BinaryTypes.String, arrow.FixedWidthTypes.Timestamp_us
	decimal := &arrow.Decimal128Type{Precision: 10, Scale: 2}
	for _, c := range []struct {
		dt                arrow.DataType
		values, condition string
		want              string // a digit for each value
	}{
		{arrow.FixedWidthTypes.Boolean, `[true, false, null]`, `{"column":"x","is":true}`, "100"},
		{arrow.FixedWidthTypes.Boolean, `[true, false, null]`, `{"not":{"column":"x","is":true}}`, "010"},
		{arrow.FixedWidthTypes.Boolean, `[true, false, null]`, `{"any":[{"column":"x","is":true},{"column":"x","isNull":true}]}`, "101"},
		{arrow.FixedWidthTypes.Boolean, `[true, false, null]`, `{"column":"x","isNull":false}`, "110"},
		{text, `["NO","SE","no",null,""]`, `{"column":"x","equals":"NO"}`, "10000"},
		{text, `["NO","SE","no",null,""]`, `{"column":"x","notEquals":"NO"}`, "01101"},
		{text, `["NO","SE","no",null,""]`, `{"column":"x","in":["SE","no","NO"]}`, "11100"},
		{text, `["NO","SE","no",null,""]`, `{"column":"x","notIn":["SE","NO"]}`, "00101"},
		{text, `["NO","SE","no",null,""]`, `{"not":{"column":"x","notIn":["SE","NO"]}}`, "11000"},
		{text, `["NO","SE","no",null,""]`, `{"column":"x","lessThan":"O"}`, "10001"},
		{arrow.FixedWidthTypes.Date32, `["0001-01-01","2026-03-01","9999-12-31",null]`, `{"column":"x","notIn":["9999-12-31","0001-01-01"]}`, "0100"},
		{arrow.FixedWidthTypes.Date32, `["0001-01-01","2026-03-01","9999-12-31",null]`, `{"column":"x","in":["9999-12-31","0001-01-01"]}`, "1010"},
		{arrow.BinaryTypes.LargeString, `["a","b"]`, `{"column":"x","atLeast":"b"}`, "01"},
		{arrow.PrimitiveTypes.Int64, `[-1, 17, 18, 64, 65, null]`, `{"column":"x","atLeast":18,"lessThan":65}`, "001100"},
		{arrow.PrimitiveTypes.Int64, `[-2, -1, 0, 1]`, `{"column":"x","lessThan":-0.5}`, "1100"},
		{arrow.PrimitiveTypes.Int64, `[0, 1, 2]`, `{"column":"x","equals":1.5}`, "000"},
		{arrow.PrimitiveTypes.Int64, `[0, 1, 2]`, `{"column":"x","notEquals":1.5}`, "111"},
		{arrow.PrimitiveTypes.Int64, `["9223372036854775807"]`, `{"column":"x","equals":9223372036854775807}`, "1"},
		{arrow.PrimitiveTypes.Int64, `["9223372036854775807"]`, `{"column":"x","equals":9223372036854775806}`, "0"},
		{arrow.PrimitiveTypes.Int8, `[127, -128]`, `{"column":"x","lessThan":1e30}`, "11"},
		{arrow.PrimitiveTypes.Int8, `[127, -128]`, `{"column":"x","atLeast":-1e30}`, "11"},
		{arrow.PrimitiveTypes.Uint64, `["0", "18446744073709551615"]`, `{"column":"x","atLeast":18446744073709551615}`, "01"},
		{arrow.PrimitiveTypes.Float32, `[0.1, 0.2]`, `{"column":"x","equals":0.1}`, "10"},
		{arrow.PrimitiveTypes.Float64, `[0.1, 2, null]`, `{"column":"x","in":[2,0.1]}`, "110"},
		{decimal, `["1.50","1.51",null]`, `{"column":"x","equals":1.5}`, "100"},
		{decimal, `["1.50","1.51","-3.00"]`, `{"column":"x","lessThan":1.505}`, "101"},
		{arrow.FixedWidthTypes.Date32, `["2026-02-28","2026-03-01","2026-03-02",null]`, `{"column":"x","after":"now-30d"}`, "0010"},
		{arrow.FixedWidthTypes.Date32, `["2026-02-28","2026-03-01","2026-03-02",null]`, `{"column":"x","before":"2026-03-01"}`, "1000"},
		{arrow.FixedWidthTypes.Date32, `["2026-02-28","2026-03-01","2026-03-02",null]`, `{"column":"x","in":["2026-03-02","2026-02-28"]}`, "1010"},
		{arrow.FixedWidthTypes.Date64, `["2026-02-28","2026-03-01"]`, `{"column":"x","equals":"2026-03-01"}`, "01"},
		{micros, `["2026-03-30 12:00:00","2026-03-30 12:00:00.000001",null]`, `{"column":"x","after":"now-1d"}`, "010"},
		{micros, `["2026-03-30 12:00:00","2026-03-30 12:00:00.000001"]`, `{"column":"x","before":"now-24h"}`, "10"},
		{arrow.FixedWidthTypes.Timestamp_s, `["2026-02-28 12:00:00","2026-02-28 12:00:01","1066-10-14"]`, `{"column":"x","before":"now-1M"}`, "101"},
		{arrow.FixedWidthTypes.Date32, `["2024-02-29","2025-03-30"]`, `{"column":"x","after":"now-13M"}`, "01"},
		{arrow.FixedWidthTypes.Timestamp_ns, `["2026-03-31 12:00:00.000000005","2026-03-31 12:00:00.000000006"]`, `{"column":"x","after":"now"}`, "01"},
		{arrow.FixedWidthTypes.Timestamp_ns, `["2026-03-31"]`, `{"column":"x","before":"9999-12-31T23:59:59Z"}`, "1"},
		{arrow.Null, `[null, null]`, `{"column":"x","equals":"a"}`, "00"},
		{arrow.Null, `[null, null]`, `{"column":"x","isNull":true}`, "11"},
		{arrow.ListOf(text), `[["a"], null]`, `{"column":"x","isNull":true}`, "01"},
		{text, `["a", null]`, `{"all":[{"column":"x","equals":"a"},{"not":{"column":"x","isNull":true}}]}`, "10"},
	} {
		values := fromJSON(t, c.dt, c.values)
		got := matches(t, c.condition, values)
		if got != c.want {
			t.Errorf("%s of %s %s: %s, want %s", c.condition, c.dt, c.values, got, c.want)
		}
		if c.dt == arrow.Null {
			continue
		}
		back := []byte(matches(t, c.condition, reversed(t, values)))
		if slices.Reverse(back); string(back) != c.want {
			t.Errorf("%s of a dictionary of %s %s: %s, want %s", c.condition, c.dt, c.values, back, c.want)
		}
	}
}

func matches(t testing.TB, text string, values arrow.Array) string {
	t.Helper()
	f, err := Compile(condition(t, text), []arrow.DataType{values.DataType()}, now)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	match, err := f.Rows([]arrow.Array{values}, values.Len())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out := make([]byte, len(match))
	for i, m := range match {
		out[i] = '0'
		if m {
			out[i] = '1'
		}
	}
	return string(out)
}

func TestNaNIsUnknown(t *testing.T) {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues([]float64{math.NaN(), 1, math.Inf(1)}, nil)
	values := b.NewArray()
	for text, want := range map[string]string{
		`{"column":"x","atLeast":0}`: "011", `{"not":{"column":"x","atLeast":5}}`: "010", `{"column":"x","notEquals":1}`: "001", `{"column":"x","isNull":true}`: "000",
		`{"column":"x","in":[0,1,2]}`: "010",
	} {
		if got := matches(t, text, values); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		condition string
		dt        arrow.DataType
		words     string
	}{
		{`{}`, arrow.Null, "either a column with an operator"},
		{`{"column":"x"}`, arrow.Null, "no operator"},
		{`{"column":"x","not":{"column":"x","is":true}}`, arrow.Null, "either"},
		{`{"is":true,"any":[{"column":"x","is":true}]}`, arrow.Null, "needs a column"},
		{`{"all":[]}`, arrow.Null, "at least one"},
		{`{"column":"x","before":"yesterday"}`, arrow.Null, "write a date"},
		{`{"column":"x","before":"2026-03-01 10:00"}`, arrow.Null, "write a date"},
		{`{"column":"x","before":"now-999999y"}`, arrow.Null, "years 1 to 9999"},
		{`{"column":"x","in":[1,"a"]}`, arrow.Null, "mixes"},
		{`{"column":"x","in":[]}`, arrow.Null, "empty"},
		{`{"column":"x","atLeast":1e99999}`, arrow.Null, "too large"},
		{`{"column":"x","atLeast":1e-99999}`, arrow.Null, "too large"},
		{`{"column":"x","equals":true}`, arrow.Null, "use is: true"},
		{`{"column":"x","notIn":["NO","Ann@Example.com"]}`, arrow.Null, "a value is an e-mail address"},
		{`{"column":"x","equals":3}`, arrow.BinaryTypes.String, "put the number in quotes"},
		{`{"column":"x","equals":"3"}`, arrow.PrimitiveTypes.Int32, "without quotes"},
		{`{"column":"x","equals":"true"}`, arrow.FixedWidthTypes.Boolean, "use is: true"},
		{`{"column":"x","is":true}`, arrow.BinaryTypes.String, "by is with true or false"},
		{`{"column":"x","lessThan":"2026-01-01"}`, arrow.FixedWidthTypes.Date32, "use before and after"},
		{`{"column":"x","equals":"yes"}`, arrow.FixedWidthTypes.Date32, "write them like"},
		{`{"column":"x","after":"now"}`, arrow.BinaryTypes.String, "utf8"},
		{`{"column":"x","equals":"a"}`, arrow.ListOf(arrow.BinaryTypes.String), "only isNull"},
	} {
		in := condition(t, c.condition)
		var types []arrow.DataType
		for range Columns(in) {
			types = append(types, c.dt)
		}
		if _, err := Compile(in, types, now); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s of %s: %v, want %q", c.condition, c.dt, err, c.words)
		}
	}
	deep := `{"column":"x","is":true}`
	for range mostNested + 1 {
		deep = `{"not":` + deep + `}`
	}
	if err := Check(condition(t, deep)); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("too deep: %v", err)
	}
}

// TestStatisticsNeverRuleOutAMatch compares May with the rows, for random conditions, values
// and bounds that may be wider than the values.
func TestStatisticsNeverRuleOutAMatch(t *testing.T) {
	ruledOut := 0
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 7))
		numbers, texts := array.NewFloat64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		rows, nulls, nullTexts := 1+r.IntN(4), int64(0), int64(0)
		from, spread := r.IntN(10), 1+r.IntN(4)
		low, high, first, last := math.Inf(1), math.Inf(-1), "~", ""
		for range rows {
			v, s := float64(from+r.IntN(spread)), string(rune('a'+from+r.IntN(spread)))
			switch r.IntN(6) {
			case 0:
				numbers.AppendNull()
				nulls++
			case 1:
				numbers.Append(math.NaN())
			default:
				numbers.Append(v)
				low, high = min(low, v), max(high, v)
			}
			if r.IntN(5) == 0 {
				texts.AppendNull()
				nullTexts++
				continue
			}
			texts.Append(s)
			first, last = min(first, s), max(last, s)
		}
		columns := []arrow.Array{numbers.NewArray(), texts.NewArray()}
		bounds := []columnar.Bounds{{Nulls: nulls, Rows: int64(rows)}, {Nulls: nullTexts, Rows: int64(rows)}}
		if low <= high && r.IntN(5) > 0 {
			bounds[0].Range = fromJSON(t, arrow.PrimitiveTypes.Float64, fmt.Sprintf("[%v,%v]", low-float64(r.IntN(2)), high+float64(r.IntN(2))))
		}
		if first <= last && r.IntN(5) > 0 {
			bounds[1].Range = fromJSON(t, arrow.BinaryTypes.String, fmt.Sprintf("[%q,%q]", first, last+"z"))
		}
		for i := range bounds {
			if r.IntN(4) == 0 {
				bounds[i].Nulls = -1
			}
		}
		c := randomCondition(r, 0)
		f, err := Compile(&c, typesFor(&c, columns), now)
		if err != nil {
			t.Fatal(err)
		}
		names := Columns(&c)
		at := func(i int) int { return slices.Index([]string{"n", "s"}, names[i]) }
		var own []arrow.Array
		for i := range names {
			own = append(own, columns[at(i)])
		}
		match, err := f.Rows(own, rows)
		if err != nil {
			t.Fatal(err)
		}
		may := f.May(func(i int) columnar.Bounds { return bounds[at(i)] })
		if !may {
			ruledOut++
		}
		if !may && slices.Contains(match, true) {
			text, _ := json.Marshal(c)
			t.Fatalf("seed %d: %s is ruled out by %v, and matches %v of %v", seed, text, bounds, match, own)
		}
	}
	if ruledOut < 2000 {
		t.Errorf("the statistics have ruled out only %d of 20,000", ruledOut)
	}
}

func typesFor(c *schemas.Condition, columns []arrow.Array) (types []arrow.DataType) {
	for _, name := range Columns(c) {
		types = append(types, columns[slices.Index([]string{"n", "s"}, name)].DataType())
	}
	return types
}

func randomCondition(r *rand.Rand, depth int) (c schemas.Condition) {
	switch k := r.IntN(8); {
	case k == 0 && depth < 3:
		inner := randomCondition(r, depth+1)
		c.Not = &inner
	case k <= 2 && depth < 3:
		list := []schemas.Condition{randomCondition(r, depth+1), randomCondition(r, depth+1)}
		if c.Any = list; k == 1 {
			c.All, c.Any = list, nil
		}
	default:
		c.Column = []string{"n", "s"}[r.IntN(2)]
		value := func() schemas.Literal {
			if c.Column == "n" {
				return schemas.Literal(fmt.Sprint(r.IntN(12)))
			}
			return schemas.Literal(fmt.Sprintf("%q", string(rune('a'+r.IntN(12)))))
		}
		switch r.IntN(7) {
		case 0:
			c.Equals = value()
		case 1:
			c.NotEquals = value()
		case 2:
			c.In = []schemas.Literal{value(), value()}
		case 3:
			c.NotIn = []schemas.Literal{value(), value()}
		case 4:
			c.LessThan = value()
		case 5:
			c.AtLeast = value()
		case 6:
			null := r.IntN(2) == 0
			c.IsNull = &null
		}
	}
	return c
}

func TestConditionsNameNobody(t *testing.T) {
	for _, c := range []struct {
		condition string
		ok        bool
	}{
		{`{"column":"ID","in":["17","18"]}`, false},
		{`{"any":[{"column":"n","is":true},{"not":{"column":"id","equals":17}}]}`, false},
		{`{"all":[{"column":"id","isNull":false},{"column":"id","atLeast":"a"},{"column":"Country","equals":"NO"}]}`, true},
	} {
		err := CheckPeople(condition(t, c.condition), "", "id")
		if (err == nil) != c.ok || err != nil && strings.ContainsAny(err.Error(), "178") {
			t.Errorf("%s: %v", c.condition, err)
		}
	}
}
