package segment

import (
	"github.com/apache/arrow/go/v15/arrow"
)

// kind is the logical kind of a column, independent of its physical type. The files of a
// segment must agree on it.
type kind string

const (
	kindNull      kind = "null"
	kindText      kind = "text"
	kindNumber    kind = "number"
	kindBoolean   kind = "boolean"
	kindDate      kind = "date"
	kindTimestamp kind = "timestamp"
	kindTime      kind = "time of day"
	kindDuration  kind = "duration"
	kindStruct    kind = "struct"
	kindList      kind = "list"
	kindMap       kind = "map"
	kindOther     kind = "other"
)

func kindOf(dt arrow.DataType) kind {
	switch dt := dt.(type) {
	case *arrow.NullType:
		return kindNull
	case *arrow.StringType, *arrow.LargeStringType, *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.FixedSizeBinaryType:
		return kindText
	case *arrow.DictionaryType:
		return kindOf(dt.ValueType)
	case arrow.ExtensionType:
		return kindOf(dt.StorageType())
	case *arrow.BooleanType:
		return kindBoolean
	case *arrow.Date32Type, *arrow.Date64Type:
		return kindDate
	case *arrow.TimestampType:
		return kindTimestamp
	case *arrow.Time32Type, *arrow.Time64Type:
		return kindTime
	case *arrow.DurationType:
		return kindDuration
	case *arrow.StructType:
		return kindStruct
	case *arrow.MapType:
		return kindMap
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType, *arrow.ListViewType, *arrow.LargeListViewType:
		return kindList
	case *arrow.Decimal128Type, *arrow.Decimal256Type:
		return kindNumber
	}
	if arrow.IsInteger(dt.ID()) || arrow.IsFloating(dt.ID()) {
		return kindNumber
	}
	return kindOther
}

// isWhole reports whether all values of a type are whole numbers. Snowflake and Oracle
// write integers as decimals with scale 0.
func isWhole(dt arrow.DataType) bool {
	switch dt := dt.(type) {
	case *arrow.DictionaryType:
		return isWhole(dt.ValueType)
	case *arrow.RunEndEncodedType:
		return isWhole(dt.Encoded())
	case arrow.ExtensionType:
		return isWhole(dt.StorageType())
	case arrow.DecimalType:
		return dt.GetScale() == 0
	}
	return arrow.IsInteger(dt.ID())
}

// identifies reports whether a column of that type can identify profiles.
func identifies(role Role, dt arrow.DataType) bool {
	switch k := kindOf(dt); {
	case k == kindNull, k == kindText:
		return true
	default:
		return role == UserID && isWhole(dt)
	}
}
