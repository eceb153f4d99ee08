package arrowfile

import (
	"fmt"

	"iterable-segment-export/internal/columnar"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// layout walks through a record batch's nodes and buffers, which lie in the
// order of the columns and their children.
type layout struct {
	reader                *reader
	batch                 recordBatch
	version               int16
	body, size            int64 // where the body lies in the file
	mem                   *columnar.Budget
	node, buffer, variadi int
}

func (r *reader) layout(m message, batch recordBatch, b block) *layout {
	return &layout{reader: r, batch: batch, version: m.version, body: b.offset + b.prefix, size: b.body, mem: r.mem}
}

// shape says what a type takes in a record batch. Extension types are stored as
// their storage, and dictionaries as their indices.
func shape(dt arrow.DataType) (buffers int, children []arrow.DataType) {
	switch dt := dt.(type) {
	case *arrow.NullType:
		return 0, nil
	case *uuidType:
		return 2, nil
	case arrow.ExtensionType:
		return shape(dt.StorageType())
	case *arrow.DictionaryType:
		return 2, nil
	case *arrow.StringType, *arrow.BinaryType, *arrow.LargeStringType, *arrow.LargeBinaryType:
		return 3, nil
	case arrow.BinaryViewDataType:
		return 2, nil // and as many more as the batch says
	case *arrow.RunEndEncodedType:
		return 0, []arrow.DataType{dt.RunEnds(), dt.Encoded()}
	case arrow.UnionType:
		for _, f := range dt.Fields() {
			children = append(children, f.Type)
		}
		if dt.Mode() == arrow.DenseMode {
			return 2, children
		}
		return 1, children
	case *arrow.StructType:
		for _, f := range dt.Fields() {
			children = append(children, f.Type)
		}
		return 1, children
	case *arrow.FixedSizeListType:
		return 1, []arrow.DataType{dt.Elem()}
	case *arrow.ListViewType:
		return 3, []arrow.DataType{dt.Elem()}
	case *arrow.LargeListViewType:
		return 3, []arrow.DataType{dt.Elem()}
	case arrow.ListLikeType: // lists, large lists and maps
		return 2, []arrow.DataType{dt.Elem()}
	}
	return 2, nil
}

// skip passes over a column that is not read.
func (l *layout) skip(dt arrow.DataType) {
	buffers, children := shape(dt)
	l.node++
	l.buffer += buffers
	switch dt.(type) {
	case arrow.BinaryViewDataType:
		if l.variadi < len(l.batch.variadic) {
			l.buffer += int(l.batch.variadic[l.variadi])
		}
		l.variadi++
	case arrow.UnionType:
		if l.version < metadataV5 {
			l.buffer++
		}
	}
	for _, c := range children {
		l.skip(c)
	}
}

// next gives a column's number of elements and its validity, nil where nothing
// is null.
func (l *layout) next() (length int64, validity *bits, err error) {
	if l.node >= len(l.batch.nodes) {
		return 0, nil, errIPC
	}
	n := l.batch.nodes[l.node]
	l.node++
	if n.b == 0 {
		l.buffer++
		return n.a, nil, nil
	}
	s, err := l.open()
	return n.a, &bits{s: s}, err
}

// open starts reading the next buffer.
func (l *layout) open() (*stream, error) {
	if l.buffer < 0 || l.buffer >= len(l.batch.buffers) {
		return nil, errIPC
	}
	b := l.batch.buffers[l.buffer]
	l.buffer++
	if b.a > l.size || b.b > l.size-b.a {
		return nil, errIPCTruncated
	}
	return openBuffer(l.reader.src, l.body+b.a, b.b, l.batch.codec, &l.reader.codecs, l.mem)
}

// canLoad tells whether a mapped column of the type can be read.
func canLoad(dt arrow.DataType, depth int) error {
	switch dt := dt.(type) {
	case arrow.ExtensionType:
		return canLoad(dt.StorageType(), depth)
	case *arrow.DictionaryType:
		if !arrow.IsInteger(dt.IndexType.ID()) {
			return fmt.Errorf("its type %s can't be read", dt)
		}
		return canLoad(dt.ValueType, depth+1)
	case arrow.UnionType:
		return fmt.Errorf("its type %s can't be read", dt)
	}
	if depth > columnar.MaxNesting {
		return fmt.Errorf("its type is nested more than %d levels deep", columnar.MaxNesting)
	}
	_, children := shape(dt)
	for _, c := range children {
		if err := canLoad(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// path makes the loader of a mapped column: of the type itself, or of what lies
// at a path through structs in it, null wherever one of the structs is.
func (l *layout) path(dt arrow.DataType, ids fieldIDs, path []int, rows int64) (loader, error) {
	var above []*bits
	for len(path) > 0 {
		st := dt.(*arrow.StructType)
		length, validity, err := l.next()
		if err != nil {
			return nil, err
		}
		if length != rows {
			return nil, errIPC
		}
		if validity != nil {
			above = append(above, validity)
		}
		for i := range path[0] {
			l.skip(st.Field(i).Type)
		}
		dt, ids, path = st.Field(path[0]).Type, ids.children[path[0]], path[1:]
	}
	inner, err := l.loader(dt, ids)
	if err != nil {
		return nil, err
	}
	if inner.length() != rows {
		inner.close()
		return nil, errIPC
	}
	if len(above) == 0 {
		return inner, nil
	}
	return &pathLoader{loader: inner, above: above}, nil
}

// dictionary is the values that indices refer to.
type dictionary struct {
	dt     arrow.DataType
	ids    fieldIDs
	values arrow.Array // nil before the first batch
	mem    *columnar.Budget
	taken  int64
}

func (d *dictionary) release() {
	if d.values != nil {
		d.values.Release()
		d.values = nil
	}
}

// wantDictionaries notes the dictionaries that mapped columns use.
func (r *reader) wantDictionaries() {
	mem := columnar.NewBudget()
	var want func(dt arrow.DataType, ids fieldIDs)
	want = func(dt arrow.DataType, ids fieldIDs) {
		switch t := dt.(type) {
		case arrow.ExtensionType:
			want(t.StorageType(), ids)
			return
		case *arrow.DictionaryType:
			values := fieldIDs{dictionary: -1, children: ids.children}
			r.dicts[ids.dictionary] = &dictionary{dt: t.ValueType, ids: values, mem: mem}
			want(t.ValueType, values)
			return
		}
		_, children := shape(dt)
		for i, c := range children {
			want(c, ids.children[i])
		}
	}
	for _, path := range r.paths {
		if path == nil {
			continue
		}
		f, ids := r.file.stored[path[0]], r.file.ids[path[0]]
		for _, i := range path[1:] {
			f, ids = f.Type.(*arrow.StructType).Field(i), ids.children[i]
		}
		want(f.Type, ids)
	}
}

// dictionary takes in a dictionary message, if a mapped column uses it.
func (r *reader) dictionary(m message, b block) error {
	if m.kind != messageDictionary {
		return errIPC
	}
	d := r.dicts[int64At(m.header, 0, 0)]
	if d == nil {
		return nil
	}
	data, ok := tableAt(m.header, 1)
	if !ok {
		return errIPC
	}
	batch, err := parseBatch(data)
	if err != nil {
		return err
	}
	delta := false
	if o := slot(m.header, 2); o != 0 {
		delta = m.header.GetBool(m.header.Pos + o)
	}
	l := r.layout(m, batch, b)
	l.mem = d.mem
	before := d.mem.Used()
	load, err := l.loader(d.dt, d.ids)
	if err != nil {
		return err
	}
	defer load.close()
	n := load.length()
	if int64(int32(n)) != n {
		return errIPC
	}
	part, err := load.load(int(n))
	if err != nil {
		return err
	}
	defer part.Release()
	values := array.MakeFromData(part)
	switch {
	case delta && d.values != nil:
		both, err := array.Concatenate([]arrow.Array{d.values, values}, d.mem)
		values.Release()
		if err != nil {
			return err
		}
		values = both
	case d.values != nil && !r.file.stream:
		values.Release()
		return fmt.Errorf("it replaces a dictionary, which an Arrow file may not do; write it again, or as an Arrow stream")
	default:
		d.mem.Give(d.taken)
		d.taken = 0
	}
	d.release()
	d.values = values
	d.taken += d.mem.Used() - before
	return nil
}
