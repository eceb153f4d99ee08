package arrowfile

import (
	"github.com/apache/arrow/go/v15/arrow"
)

// uuidType is the storage of Arrow's extension arrow.uuid: 16 bytes, which are
// loaded as their text.
type uuidType struct{ *arrow.FixedSizeBinaryType }

// marked returns the fields with the types of extensions that are loaded in
// another form than their storage. Arrow v15 knows none, and leaves their names
// among a field's remarks.
func marked(fields []arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		name, _ := f.Metadata.GetValue("ARROW:extension:name")
		switch dt := f.Type.(type) {
		case *arrow.FixedSizeBinaryType:
			if name == "arrow.uuid" && dt.ByteWidth == 16 {
				f.Type = &uuidType{dt}
			}
		case *arrow.StructType:
			f.Type = arrow.StructOf(marked(dt.Fields())...)
		}
		out[i] = f
	}
	return out
}

// loaded returns the type in which columns of a type are loaded: views as what
// they view, run-end-encoded columns as dictionaries, whose values they share.
func loaded(dt arrow.DataType) arrow.DataType {
	switch dt := dt.(type) {
	case *uuidType, *arrow.StringViewType:
		return arrow.BinaryTypes.String
	case *arrow.BinaryViewType:
		return arrow.BinaryTypes.Binary
	case *arrow.RunEndEncodedType:
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: loaded(dt.Encoded())}
	case *arrow.DictionaryType:
		return &arrow.DictionaryType{IndexType: dt.IndexType, ValueType: loaded(dt.ValueType), Ordered: dt.Ordered}
	case *arrow.StructType:
		fields := make([]arrow.Field, dt.NumFields())
		for i, f := range dt.Fields() {
			fields[i] = arrow.Field{Name: f.Name, Type: loaded(f.Type), Nullable: f.Nullable}
		}
		return arrow.StructOf(fields...)
	case *arrow.MapType:
		return arrow.MapOf(loaded(dt.KeyType()), loaded(dt.ItemType()))
	case *arrow.ListType:
		return arrow.ListOf(loaded(dt.Elem()))
	case *arrow.LargeListType:
		return arrow.LargeListOf(loaded(dt.Elem()))
	case *arrow.ListViewType:
		return arrow.ListViewOf(loaded(dt.Elem()))
	case *arrow.LargeListViewType:
		return arrow.LargeListViewOf(loaded(dt.Elem()))
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOf(dt.Len(), loaded(dt.Elem()))
	case arrow.ExtensionType:
		return loaded(dt.StorageType())
	}
	return dt
}
