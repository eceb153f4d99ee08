package segment

import (
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// TestRanksOrderValues has values in ascending order, by type; files of a segment may have a
// column in different types of one kind, so that all numbers and all times have one order.
func TestRanksOrderValues(t *testing.T) {
	for dt, json := range map[arrow.DataType]string{
		arrow.PrimitiveTypes.Int8:                      `[null,-128,-1,0,127]`,
		arrow.PrimitiveTypes.Int64:                     `[null,"-9223372036854775808",-1,0,"9223372036854775807"]`,
		arrow.PrimitiveTypes.Uint64:                    `[null,0,1,"9223372036854775807","18446744073709551615"]`,
		arrow.PrimitiveTypes.Float64:                   `[null,-1e30,-0.5,0,0.25,0.5,1e19,1e20]`,
		&arrow.Decimal128Type{Precision: 30, Scale: 3}: `[null,"-1.500","-1.499","0.001","20261126150000000001.000","20261126160000000000.000","12345678901234567890123.000"]`,
		&arrow.Decimal256Type{Precision: 60, Scale: 0}: `[null,"-5","7"]`,
		arrow.FixedWidthTypes.Date32:                   `[null,"1066-10-14","1969-12-31","2026-03-01"]`,
		arrow.FixedWidthTypes.Date64:                   `[null,"1066-10-14","1969-12-31","2026-03-01"]`,
		arrow.FixedWidthTypes.Timestamp_s:              `[null,"0001-01-01","1969-12-31 23:59:59","2026-03-01"]`,
		&arrow.TimestampType{Unit: arrow.Nanosecond}:   `[null,"1700-01-01","1969-12-31 23:59:59.999999999","1970-01-01","1970-01-01 00:00:00.000000001"]`,
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.PrimitiveTypes.Int64}: `[null,3,4]`,
	} {
		arr := table(t, []arrow.Field{typed("x", dt)}, "["+wrapped(json)+"]").Column(0)
		rank, err := Ranks(arr)
		if err != nil {
			t.Fatalf("%s: %v", dt, err)
		}
		for i := 1; i < arr.Len(); i++ {
			if rank(i-1).Compare(rank(i)) >= 0 || DecodeRank(rank(i).Append(nil)) != rank(i) || len(rank(i).Append(nil)) != rankSize {
				t.Errorf("%s: %s is not below %s", dt, arr.ValueStr(i-1), arr.ValueStr(i))
			}
		}
	}
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues([]float64{math.NaN(), math.Inf(-1), 1, math.Inf(1)}, nil)
	rank, err := Ranks(b.NewArray())
	if err != nil {
		t.Fatal(err)
	}
	if got := []Rank{rank(0), rank(1), rank(2), rank(3)}; !slices.IsSortedFunc(got, Rank.Compare) || got[0] != (Rank{}) {
		t.Errorf("NaN and the infinities: %+v", got)
	}
	seconds, _ := Ranks(table(t, []arrow.Field{typed("x", arrow.FixedWidthTypes.Timestamp_s)}, `[{"x":"2026-03-01 10:00:00"}]`).Column(0))
	micros, _ := Ranks(table(t, []arrow.Field{typed("x", arrow.FixedWidthTypes.Timestamp_us)}, `[{"x":"2026-03-01 10:00:00"}]`).Column(0))
	if seconds(0) != micros(0) {
		t.Errorf("one moment in two units: %+v, %+v", seconds(0), micros(0))
	}
	if _, err := Ranks(emails(t, "a").Column(0)); err == nil {
		t.Error("a text is ranked")
	}
}

// wrapped makes rows with a column x of a list of values.
func wrapped(list string) string {
	out, depth := "", false
	for _, c := range list[1 : len(list)-1] {
		if c == '"' {
			depth = !depth
		}
		if c == ',' && !depth {
			out += `},{"x":`
			continue
		}
		out += string(c)
	}
	return `{"x":` + out + "}"
}
