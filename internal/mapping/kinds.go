package mapping

import (
	"fmt"

	"iterable-segment-export/internal/columnar"

	"github.com/apache/arrow/go/v15/arrow"
)

// Kinds of fields, by the names that Iterable gives its data types in the answer
// of GET /api/users/getFields ("Field Data Types", support.iterable.com,
// 208183076). An array has the kind of its elements there.
const (
	KindString  = "string"
	KindLong    = "long"
	KindDouble  = "double"
	KindBoolean = "boolean"
	KindDate    = "date"
	KindObject  = "object"
	// KindUnknown is a field with a kind that depends on the values: text that is forced to
	// be an array, and columns with only nulls.
	KindUnknown = ""
)

// Values of schemas.Field.Type.
const (
	forceString  = "string"
	forceNumber  = "number"
	forceBoolean = "boolean"
	forceDate    = "date"
	forceObject  = "object"
	forceArray   = "array"
	forceBase64  = "base64"
)

// maxNesting is how deep lists and structs may lie in each other.
const maxNesting = 32

// maxScale bounds a decimal's scale, either way: decimal256 holds 76 digits, and
// a damaged scale would write zeros without end.
const maxScale = 76

// kindOf returns the kind that a column of the type gets in Iterable, or why it can't
// be sent in the forced form.
func kindOf(dt arrow.DataType, force string, depth int) (string, error) {
	if depth > maxNesting {
		return "", fmt.Errorf("lists and structs lie more than %d deep in each other", maxNesting)
	}
	dt = columnar.Decoded(dt)
	own, err := ownKind(dt, depth)
	if err != nil || force == "" {
		return own, err
	}
	return forcedKind(dt, own, force)
}

// ownKind returns the kind of the form that a type has by itself.
func ownKind(dt arrow.DataType, depth int) (string, error) {
	switch dt := dt.(type) {
	case *arrow.NullType:
		return KindUnknown, nil
	case *arrow.BooleanType:
		return KindBoolean, nil
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type,
		*arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type:
		return KindLong, nil
	case *arrow.Float16Type, *arrow.Float32Type, *arrow.Float64Type:
		return KindDouble, nil
	case arrow.DecimalType:
		switch scale := dt.GetScale(); {
		case scale > maxScale || scale < -maxScale:
			return "", fmt.Errorf("it is a decimal of scale %d", scale)
		case scale <= 0:
			return KindLong, nil
		}
		return KindDouble, nil
	case *arrow.StringType, *arrow.LargeStringType,
		*arrow.BinaryType, *arrow.LargeBinaryType, *arrow.FixedSizeBinaryType,
		*arrow.Time32Type, *arrow.Time64Type, *arrow.DurationType,
		*arrow.MonthIntervalType, *arrow.DayTimeIntervalType, *arrow.MonthDayNanoIntervalType:
		return KindString, nil
	case *arrow.TimestampType:
		if _, err := dt.GetZone(); err != nil {
			return "", fmt.Errorf("its time zone %q is not known", dt.TimeZone)
		}
		return KindDate, nil
	case *arrow.Date32Type, *arrow.Date64Type:
		return KindDate, nil
	case *arrow.StructType:
		seen := map[string]bool{}
		for _, f := range dt.Fields() {
			if err := checkNestedName(f.Name); err != nil {
				return "", err
			}
			if seen[f.Name] {
				return "", fmt.Errorf("its struct has the field %s twice", f.Name)
			}
			seen[f.Name] = true
			if _, err := kindOf(f.Type, "", depth+1); err != nil {
				return "", fmt.Errorf("field %s of its struct: %w", f.Name, err)
			}
		}
		return KindObject, nil
	case *arrow.MapType:
		if _, err := kindOf(dt.KeyType(), "", depth+1); err != nil {
			return "", fmt.Errorf("its keys: %w", err)
		}
		if _, err := kindOf(dt.ItemType(), "", depth+1); err != nil {
			return "", fmt.Errorf("its values: %w", err)
		}
		return KindObject, nil
	case arrow.ListLikeType:
		return kindOf(dt.Elem(), "", depth+1)
	}
	return "", fmt.Errorf("the type %s has no JSON form; leave the column out", dt)
}

// forcedKind returns the kind of a type in the forced form.
func forcedKind(dt arrow.DataType, own, force string) (string, error) {
	_, isMap := dt.(*arrow.MapType)
	_, isListLike := dt.(arrow.ListLikeType)
	isList := isListLike && !isMap
	nested := isList || own == KindObject
	ok := false
	kind := KindUnknown
	switch force {
	case forceString:
		ok, kind = !nested, KindString
	case forceNumber:
		ok, kind = own == KindLong || own == KindDouble || isText(dt) || dt.ID() == arrow.DURATION, KindDouble
		if own == KindLong {
			kind = KindLong
		}
	case forceBoolean:
		ok, kind = own == KindBoolean || isText(dt) || arrow.IsInteger(dt.ID()), KindBoolean
	case forceDate:
		ok, kind = own == KindDate || isText(dt), KindDate
	case forceObject:
		ok, kind = own == KindObject && !isList && (!isMap || textKeys(dt)) || isText(dt), KindObject
	case forceBase64:
		ok, kind = isText(dt), KindString
	case forceArray:
		ok = isList || isText(dt)
		if isList {
			kind = own
		}
	default:
		return "", fmt.Errorf("type %q is not known; it must be string, number, boolean, date, object, array or base64", force)
	}
	// A list of dates is no date: only the kind of its elements is one.
	if isList && force != forceArray {
		ok = false
	}
	if !ok && dt.ID() != arrow.NULL {
		return "", fmt.Errorf("the type %s can't be sent as type: %s", dt, force)
	}
	return kind, nil
}

// isText reports whether a type holds texts, or bytes, which many writers use for
// texts.
func isText(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.STRING, arrow.LARGE_STRING:
		return true
	}
	return isBytes(dt)
}

func isBytes(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.FIXED_SIZE_BINARY:
		return true
	}
	return false
}

// textKeys reports whether a map can be an object: its keys are texts.
func textKeys(dt arrow.DataType) bool {
	return isText(columnar.Decoded(dt.(*arrow.MapType).KeyType()))
}
