package mapping

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// BenchmarkAppend writes rows of eight fields; a row is one operation.
func BenchmarkAppend(b *testing.B) {
	const rows = 65536
	zone := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Oslo"}
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: text}
	contact := arrow.StructOf(arrow.Field{Name: "phone", Type: text}, arrow.Field{Name: "ok", Type: arrow.FixedWidthTypes.Boolean})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "customer", Type: long}, {Name: "firstName", Type: text}, {Name: "city", Type: dict}, {Name: "ltv", Type: arrow.PrimitiveTypes.Float64},
		{Name: "active", Type: arrow.FixedWidthTypes.Boolean}, {Name: "seen", Type: zone}, {Name: "contact", Type: contact}, {Name: "tags", Type: arrow.ListOf(text)},
	}, nil)
	rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range rows {
		rb.Field(0).(*array.Int64Builder).Append(int64(i))
		rb.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("Kåre %d", i))
		if err := rb.Field(2).(*array.BinaryDictionaryBuilder).AppendString([]string{"Oslo", "Tromsø", "Bergen"}[i%3]); err != nil {
			b.Fatal(err)
		}
		rb.Field(3).(*array.Float64Builder).Append(float64(i) / 4)
		rb.Field(4).(*array.BooleanBuilder).Append(i%2 == 0)
		rb.Field(5).(*array.TimestampBuilder).Append(arrow.Timestamp(1.7e15 + int64(i)*1e9))
		s := rb.Field(6).(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).(*array.StringBuilder).Append("+47 123 45 678")
		s.FieldBuilder(1).(*array.BooleanBuilder).Append(true)
		l := rb.Field(7).(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.StringBuilder).Append("sport")
		l.ValueBuilder().(*array.StringBuilder).Append("food")
	}
	rec := rb.NewRecord()
	var columns []Column
	for i, f := range schema.Fields() {
		columns = append(columns, Column{Index: i, Name: f.Name, Type: f.Type})
	}
	m, err := Compile(columns, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for i := range b.N {
		if i%rows == 0 {
			if err := m.Bind(rec); err != nil {
				b.Fatal(err)
			}
		}
		var bad *InvalidValue
		if dst, bad = m.Append(dst[:0], i%rows); bad != nil {
			b.Fatal(bad)
		}
	}
	b.SetBytes(int64(len(dst)))
}
