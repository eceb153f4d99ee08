package columnar

import (
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
)

// TestKindsDoNotDependOnTheEncoding: a segment may have files of several writers.
func TestKindsDoNotDependOnTheEncoding(t *testing.T) {
	for _, c := range []struct {
		dt   arrow.DataType
		want Kind
	}{
		{arrow.BinaryTypes.String, KindText},
		{arrow.BinaryTypes.LargeBinary, KindText},
		{&arrow.FixedSizeBinaryType{ByteWidth: 4}, KindText},
		{arrow.PrimitiveTypes.Uint8, KindNumber},
		{arrow.FixedWidthTypes.Float16, KindNumber},
		{&arrow.Decimal256Type{Precision: 40, Scale: 2}, KindNumber},
		{arrow.FixedWidthTypes.Boolean, KindBoolean},
		{arrow.FixedWidthTypes.Date64, KindDate},
		{arrow.FixedWidthTypes.Timestamp_us, KindTimestamp},
		{arrow.FixedWidthTypes.Time32s, KindTime},
		{arrow.FixedWidthTypes.Duration_s, KindDuration},
		{arrow.StructOf(), KindStruct},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.Null), KindMap},
		{arrow.FixedSizeListOf(3, arrow.Null), KindList},
		{arrow.ListViewOf(arrow.Null), KindList},
		{arrow.Null, KindNull},
		{arrow.FixedWidthTypes.MonthInterval, KindOther},
	} {
		dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: c.dt}
		nested := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: dictionary}
		for _, dt := range []arrow.DataType{c.dt, dictionary, nested} {
			if got := KindOf(dt); got != c.want {
				t.Errorf("%s is %s, want %s", dt, got, c.want)
			}
			if got := Decoded(dt); !arrow.TypeEqual(got, c.dt) {
				t.Errorf("%s has values of type %s, want %s", dt, got, c.dt)
			}
		}
	}
}
