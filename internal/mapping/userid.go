package mapping

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/schemas"
)

// MaxUserID is the most characters that a user id may have in Iterable ("Project
// Types and Unique Identifiers", support.iterable.com, 9216719179796).
const MaxUserID = 52

// CheckUserIDType tells whether a column of the type can hold user ids: text,
// binary that is UTF-8, or integers.
func CheckUserIDType(dt arrow.DataType) error {
	switch dt := dt.(type) {
	case *arrow.DictionaryType:
		return CheckUserIDType(dt.ValueType)
	case *arrow.RunEndEncodedType:
		return CheckUserIDType(dt.Encoded())
	case arrow.ExtensionType:
		return CheckUserIDType(dt.StorageType())
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType, *arrow.NullType:
		return nil
	}
	if isText(dt) || arrow.IsInteger(dt.ID()) {
		return nil
	}
	return fmt.Errorf("the type %s can't hold user ids; they are text or integers", dt)
}

// CheckUserID tells what is wrong with a user id: nothing (an empty reason), or
// schemas.ReasonInvalidUserID where it is empty, has white space at either end
// (to Iterable that is another person), has more than MaxUserID characters, or is
// not UTF-8.
func CheckUserID(id []byte) schemas.Reason {
	if len(id) == 0 || len(id) > MaxUserID*utf8.UTFMax || !utf8.Valid(id) || utf8.RuneCount(id) > MaxUserID {
		return schemas.ReasonInvalidUserID
	}
	first, _ := utf8.DecodeRune(id)
	last, _ := utf8.DecodeLastRune(id)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return schemas.ReasonInvalidUserID
	}
	return ""
}

// AppendUserID appends a row's user id: text exactly as it stands, an integer in
// decimal. A null, and what CheckUserID refuses, is schemas.ReasonInvalidUserID,
// with dst as it was; otherwise the reason is empty. Where the user id is optional, the caller asks arr.IsNull first, which for
// dictionaries and runs is not the whole truth: UserIDNull is.
func AppendUserID(dst []byte, arr arrow.Array, row int) ([]byte, schemas.Reason) {
	arr, row, ok := resolve(arr, row)
	if !ok || arr.IsNull(row) {
		return dst, schemas.ReasonInvalidUserID
	}
	switch a := arr.(type) {
	case *array.String:
		return appendText(dst, a.Value(row))
	case *array.LargeString:
		return appendText(dst, a.Value(row))
	case *array.StringView:
		return appendText(dst, a.Value(row))
	case *array.Binary:
		return appendText(dst, a.ValueString(row))
	case *array.LargeBinary:
		return appendText(dst, a.ValueString(row))
	case *array.BinaryView:
		return appendText(dst, a.ValueString(row))
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(row), 10), ""
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10), ""
	case *array.Int16:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10), ""
	case *array.Int8:
		return strconv.AppendInt(dst, int64(a.Value(row)), 10), ""
	case *array.Uint64:
		return strconv.AppendUint(dst, a.Value(row), 10), ""
	case *array.Uint32:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10), ""
	case *array.Uint16:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10), ""
	case *array.Uint8:
		return strconv.AppendUint(dst, uint64(a.Value(row)), 10), ""
	}
	return dst, schemas.ReasonInvalidUserID
}

// UserIDNull tells whether a row has no user id at all.
func UserIDNull(arr arrow.Array, row int) bool {
	arr, row, ok := resolve(arr, row)
	return ok && arr.IsNull(row)
}

// resolve follows dictionaries, runs and extensions to where the value stands;
// false where they lead nowhere.
func resolve(arr arrow.Array, row int) (arrow.Array, int, bool) {
	for {
		switch a := arr.(type) {
		case *array.Dictionary:
			if a.IsNull(row) {
				return arr, row, true
			}
			row = a.GetValueIndex(row)
			arr = a.Dictionary()
		case *array.RunEndEncoded:
			row = a.GetPhysicalIndex(row)
			arr = a.Values()
		case array.ExtensionArray:
			arr = a.Storage()
		default:
			return arr, row, row >= 0 && row < arr.Len()
		}
		if row < 0 || row >= arr.Len() {
			return arr, row, false
		}
	}
}

func appendText(dst []byte, s string) ([]byte, schemas.Reason) {
	id := unsafe.Slice(unsafe.StringData(s), len(s)) // read only
	if reason := CheckUserID(id); reason != "" {
		return dst, reason
	}
	return append(dst, id...), ""
}
