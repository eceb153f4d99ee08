package arrowfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
)

// form is the layout of a column's values in a record batch.
type form int

const (
	formNull form = iota
	formFixed
	formBits
	formText // bytes and offsets
	formView
	formList
	formListView
	formGroup // a struct, or lists of the same length each
	formDictionary
	formUUID
	formRuns
	formSparse // unions, which are skipped
	formDense
)

// buffersOf is the number of buffers of each form, including the bitmap of nulls. Views
// have more; their number is in the batch.
var buffersOf = [...]int{
	formFixed: 2, formBits: 2, formText: 3, formView: 2, formList: 2, formListView: 3, formGroup: 1, formDictionary: 2, formUUID: 2,
	formSparse: 1, formDense: 2,
}

// node is a column or a part of one.
type node struct {
	name     string
	nullable bool
	dt       arrow.DataType // of the loaded array
	form     form
	width    int64   // bytes of a value, an index or an offset; of a group, the elements of each child per element
	id       int64   // of the dictionary
	kids     []*node // of a dictionary, its values
}

func (n *node) field() arrow.Field {
	return arrow.Field{Name: n.name, Type: n.dt, Nullable: n.nullable}
}

// maxFields bounds the columns of a file, nested ones included, and the entries of their
// metadata; maxTexts bounds the bytes of their names and metadata.
const (
	maxFields = 200_000
	maxTexts  = 64 << 20
)

// unfolding counts down how much more a schema may contain. Parts of a flatbuffer can be
// used more than once, so a small one can expand to any size.
type unfolding struct{ fields, texts int }

// schemaNodes returns the columns that a schema describes.
func schemaNodes(schema table) ([]*node, error) {
	if schema.number(0, 2, 0) != 0 {
		return nil, errors.New("the file is big-endian, which this program can't read; write it again on a little-endian machine")
	}
	return (&unfolding{maxFields, maxTexts}).nodes(schema, 1, 0)
}

func (u *unfolding) nodes(t table, field, depth int) ([]*node, error) {
	at, n, err := t.vector(field, 4)
	if err != nil {
		return nil, err
	}
	if depth > columnar.MaxNesting && n > 0 {
		return nil, fmt.Errorf("its columns are nested more than %d levels deep; flatten them", columnar.MaxNesting)
	}
	if u.fields -= n; u.fields < 0 {
		return nil, fmt.Errorf("it has more than %d columns, nested ones included; leave some out", maxFields)
	}
	out := make([]*node, n)
	for i := range out {
		if out[i], err = u.node(t.follow(at(i)), depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (u *unfolding) text(t table, field int) (string, error) {
	at, n, err := t.vector(field, 1)
	if err != nil || n == 0 {
		return "", err
	}
	if u.texts -= n; u.texts < 0 {
		return "", fmt.Errorf("the names and metadata of its columns have more than %d MB; shorten them", maxTexts>>20)
	}
	return string(t.Bytes[at(0):at(n)]), nil
}

// extension returns the name of the extension type in a field's metadata.
func (u *unfolding) extension(f table) (string, error) {
	at, n, err := f.vector(6, 4)
	if u.fields -= n; err == nil && u.fields < 0 {
		err = fmt.Errorf("it has more than %d columns and entries of their metadata; leave some out", maxFields)
	}
	for i := 0; i < n && err == nil; i++ {
		var key string
		if key, err = u.text(f.follow(at(i)), 0); key == "ARROW:extension:name" {
			return u.text(f.follow(at(i)), 1)
		}
	}
	return "", err
}

func (u *unfolding) node(f table, depth int) (*node, error) {
	n := &node{nullable: f.number(1, 1, 0) != 0}
	var err error
	if n.name, err = u.text(f, 0); err != nil {
		return nil, err
	}
	if n.kids, err = u.nodes(f, 5, depth+1); err != nil {
		return nil, err
	}
	t, ok := f.table(3)
	if !ok {
		return nil, errIPC
	}
	if err := u.typed(n, f.number(2, 1, 0), t); err != nil {
		return nil, err
	}
	extension, err := u.extension(f)
	if err != nil {
		return nil, err
	}
	if extension == "arrow.uuid" && n.form == formFixed && n.width == 16 {
		n.form, n.dt = formUUID, arrow.BinaryTypes.String
	}
	if enc, ok := f.table(4); ok {
		d := &node{name: n.name, nullable: n.nullable, form: formDictionary, id: enc.number(0, 8, 0), kids: []*node{n}}
		d.fixed(arrow.PrimitiveTypes.Int32)
		if index, ok := enc.table(1); ok {
			d.fixed(integer(index))
		}
		d.form = formDictionary
		if why := errors.Join(columnar.Supported(d.dt), columnar.Supported(n.dt)); why != nil {
			d.dt = &columnar.Unsupported{Why: why}
		} else {
			d.dt = &arrow.DictionaryType{IndexType: d.dt, ValueType: n.dt}
		}
		return d, nil
	}
	return n, nil
}

func (n *node) fixed(dt arrow.DataType) {
	if n.form, n.dt = formFixed, dt; dt == nil {
		n.refuse("it is not one of Arrow's types")
		return
	}
	n.width = int64(dt.(arrow.FixedWidthDataType).Bytes())
}

func (n *node) refuse(format string, args ...any) {
	n.dt = &columnar.Unsupported{Why: fmt.Errorf(format, args...)}
}

// pick returns the type with that index, or nil.
func pick(i int64, types ...arrow.DataType) arrow.DataType {
	if i < 0 || i >= int64(len(types)) {
		return nil
	}
	return types[i]
}

func integer(t table) arrow.DataType {
	types := map[int64][2]arrow.DataType{
		8:  {arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Int8},
		16: {arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Int16},
		32: {arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Int32},
		64: {arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Int64},
	}[t.number(0, 4, 0)]
	return types[min(1, uint8(t.number(1, 1, 0)))]
}

// typed sets the type of a node. kind is a member of the union Type in Schema.fbs.
func (u *unfolding) typed(n *node, kind int64, t table) error {
	fixed := arrow.FixedWidthTypes
	unit := func(unset int64) arrow.TimeUnit { return arrow.TimeUnit(t.number(0, 2, unset) & 3) }
	switch kind {
	case 1: // Null
		n.form, n.dt = formNull, arrow.Null
	case 2: // Int
		n.fixed(integer(t))
	case 3: // FloatingPoint
		n.fixed(pick(t.number(0, 2, 0), fixed.Float16, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64))
	case 4: // Binary
		n.form, n.width, n.dt = formText, 4, arrow.BinaryTypes.Binary
	case 5: // Utf8
		n.form, n.width, n.dt = formText, 4, arrow.BinaryTypes.String
	case 6: // Bool
		n.form, n.dt = formBits, fixed.Boolean
	case 7: // Decimal
		n.decimal(t)
	case 8: // Date
		n.fixed(pick(t.number(0, 2, 1), fixed.Date32, fixed.Date64))
	case 9: // Time
		n.fixed(pick(t.number(0, 2, 1), fixed.Time32s, fixed.Time32ms, fixed.Time64us, fixed.Time64ns))
	case 10: // Timestamp
		zone, err := u.text(t, 1)
		n.fixed(&arrow.TimestampType{Unit: unit(0), TimeZone: zone})
		return err
	case 11: // Interval
		n.fixed(pick(t.number(0, 2, 0), fixed.MonthInterval, fixed.DayTimeInterval, fixed.MonthDayNanoInterval))
	case 14: // Union
		n.form = formSparse + form(t.number(0, 2, 0)&1)
		n.refuse("it is a union, sparse_union or dense_union")
	case 15: // FixedSizeBinary
		n.fixed(&arrow.FixedSizeBinaryType{ByteWidth: int(t.number(0, 4, 0))})
		if n.width <= 0 {
			n.refuse("its values have %d bytes", n.width)
		}
	case 18: // Duration
		n.fixed(&arrow.DurationType{Unit: unit(1)})
	case 19: // LargeBinary
		n.form, n.width, n.dt = formText, 8, arrow.BinaryTypes.LargeBinary
	case 20: // LargeUtf8
		n.form, n.width, n.dt = formText, 8, arrow.BinaryTypes.LargeString
	case 23: // BinaryView, loaded as binary
		n.form, n.dt = formView, arrow.BinaryTypes.Binary
	case 24: // Utf8View, loaded as text
		n.form, n.dt = formView, arrow.BinaryTypes.String
	default:
		return n.nested(kind, t)
	}
	return nil
}

func (n *node) decimal(t table) {
	precision, scale := int32(t.number(0, 4, 0)), int32(t.number(1, 4, 0))
	bits := t.number(2, 4, 128)
	n.form, n.width = formFixed, bits/8
	const most = 76 // digits of 256 bits
	switch {
	case precision < 0 || precision > most || max(scale, -scale) > most:
		n.refuse("its decimals have %d digits, %d of them after the point", precision, scale)
	case bits == 128:
		n.dt = &arrow.Decimal128Type{Precision: precision, Scale: scale}
	case bits == 256:
		n.dt = &arrow.Decimal256Type{Precision: precision, Scale: scale}
	default:
		n.refuse("its decimals have %d bits", bits)
	}
}

// nested sets the type of a node with children.
func (n *node) nested(kind int64, t table) error {
	switch kind {
	case 12: // List
		return listed(n, 1, formList, 4, arrow.ListOf)
	case 13: // Struct
		var fields []arrow.Field
		for _, k := range n.kids {
			fields = append(fields, k.field())
		}
		n.form, n.width, n.dt = formGroup, 1, arrow.StructOf(fields...)
		return nil
	case 16: // FixedSizeList
		size := t.number(0, 4, 0)
		err := listed(n, 1, formGroup, size, func(items arrow.DataType) *arrow.FixedSizeListType {
			return arrow.FixedSizeListOf(max(1, int32(size)), items)
		})
		if size <= 0 {
			n.refuse("its lists have %d elements", size)
		}
		return err
	case 17: // Map
		var entry *arrow.StructType
		if len(n.kids) == 1 {
			entry, _ = n.kids[0].dt.(*arrow.StructType)
		}
		if entry == nil || len(entry.Fields()) != 2 {
			return errIPC
		}
		return listed(n, 1, formList, 4, func(arrow.DataType) *arrow.MapType {
			m := arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
			n.kids[0].dt = m.Elem()
			return m
		})
	case 21: // LargeList
		return listed(n, 1, formList, 8, arrow.LargeListOf)
	case 22: // RunEndEncoded
		if len(n.kids) != 2 || n.kids[0].form != formFixed || n.kids[0].width < 2 || !arrow.IsInteger(n.kids[0].dt.ID()) {
			return errIPC
		}
		// It is read as a dictionary of the runs.
		return listed(n, 2, formRuns, 4, func(values arrow.DataType) *arrow.DictionaryType {
			return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: values}
		})
	case 25: // ListView
		return listed(n, 1, formListView, 4, arrow.ListViewOf)
	case 26: // LargeListView
		return listed(n, 1, formListView, 8, arrow.LargeListViewOf)
	}
	return fmt.Errorf("the type of its column %q is newer than this program (number %d); write the file again with another type", n.name, kind)
}

// listed makes the node a list of any kind. Its items are its last child.
func listed[L arrow.DataType](n *node, children int, f form, width int64, of func(items arrow.DataType) L) error {
	if len(n.kids) != children {
		return errIPC
	}
	n.form, n.width = f, width
	items := n.kids[children-1].dt
	if why := columnar.Supported(items); why != nil {
		n.dt = &columnar.Unsupported{Why: why}
		return nil
	}
	n.dt = of(items)
	return nil
}

// ReadSchema returns the columns of a schema message, as Arrow also writes it into Parquet
// files.
func ReadSchema(data []byte) (fields []arrow.Field, err error) {
	defer columnar.Guard(&err)
	if len(data) >= 8 && binary.LittleEndian.Uint32(data) == continuation {
		data = data[4:]
	}
	if len(data) < 8 {
		return nil, errIPC
	}
	msg, err := parseMessage(data[4:])
	if err != nil {
		return nil, err
	}
	if msg.kind != messageSchema {
		return nil, errIPC
	}
	nodes, err := schemaNodes(msg.header)
	for _, n := range nodes {
		fields = append(fields, n.field())
	}
	return fields, err
}
