package columnar

import "github.com/apache/arrow/go/v15/arrow"

// Kind is the kind of values that a column has, independent of how they are encoded. Its text
// is for error messages.
type Kind string

// The kinds.
const (
	KindNull      Kind = "null"
	KindText      Kind = "a text"
	KindNumber    Kind = "a number"
	KindBoolean   Kind = "true or false"
	KindDate      Kind = "a date"
	KindTimestamp Kind = "a moment"
	KindTime      Kind = "a time of day"
	KindDuration  Kind = "a duration"
	KindStruct    Kind = "a struct"
	KindList      Kind = "a list"
	KindMap       Kind = "a map"
	KindOther     Kind = "other"
)

// Decoded returns the type of a dictionary's values. Other types are returned as they are.
func Decoded(dt arrow.DataType) arrow.DataType {
	for {
		of, ok := dt.(*arrow.DictionaryType)
		if !ok {
			return dt
		}
		dt = of.ValueType
	}
}

// KindOf returns the kind of a type.
func KindOf(dt arrow.DataType) Kind {
	switch dt = Decoded(dt); dt.(type) {
	case *arrow.NullType:
		return KindNull
	case *arrow.StringType, *arrow.LargeStringType,
		*arrow.BinaryType, *arrow.LargeBinaryType, *arrow.FixedSizeBinaryType:
		return KindText
	case *arrow.BooleanType:
		return KindBoolean
	case *arrow.Date32Type, *arrow.Date64Type:
		return KindDate
	case *arrow.TimestampType:
		return KindTimestamp
	case *arrow.Time32Type, *arrow.Time64Type:
		return KindTime
	case *arrow.DurationType:
		return KindDuration
	case *arrow.StructType:
		return KindStruct
	case *arrow.MapType:
		return KindMap
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType, *arrow.ListViewType, *arrow.LargeListViewType:
		return KindList
	case *arrow.Decimal128Type, *arrow.Decimal256Type:
		return KindNumber
	}
	if arrow.IsInteger(dt.ID()) || arrow.IsFloating(dt.ID()) {
		return KindNumber
	}
	return KindOther
}
