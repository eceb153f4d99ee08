package segment

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// parquetNode is a mapped column, or a part of one: a leaf, or a struct, list
// or map that is put together from its leaves by their levels. Arrow does the
// same for whole columns, in goroutines that can't be guarded.
//
// A path into structs needs nothing of that: the levels of its leaf say where
// any of the structs is null, and Arrow makes the value null there.
type parquetNode struct {
	field    pqarrow.SchemaField
	children []*parquetNode
	leaf     *pqarrow.ColumnReader // of the open row group, only for a leaf
}

func newParquetNode(f pqarrow.SchemaField, leaves *[]*parquetNode) *parquetNode {
	n := &parquetNode{field: f}
	if isLeaf(f) {
		*leaves = append(*leaves, n)
		return n
	}
	for _, c := range f.Children {
		n.children = append(n.children, newParquetNode(c, leaves))
	}
	return n
}

// read gives the next rows of a mapped column.
func (n *parquetNode) read(mem memory.Allocator, rows, group int) (arr arrow.Array, err error) {
	defer func() {
		if err != nil {
			err = columnError(schemas.ErrorSegmentUnreadable, n.field.Field.Name, "row group %d: %w", group, err)
		}
	}()
	defer guard(&err)
	if err := n.load(int64(rows)); err != nil {
		return nil, fmt.Errorf("its values can't be read: %w; the file is damaged: write it again", err)
	}
	if arr, err = n.build(mem, int64(rows)); err != nil {
		return nil, fmt.Errorf("its values can't be read: %w; the file is damaged: write it again", err)
	}
	if arr.Len() != rows {
		got := arr.Len()
		arr.Release()
		return nil, fmt.Errorf("there should be %d more rows, and there are %d: the file is damaged, or encoded in a way that this program can't read; write it again, with plain encodings", rows, got)
	}
	return arr, nil
}

// load decodes values and levels of the leaves.
func (n *parquetNode) load(rows int64) error {
	if n.leaf != nil {
		return n.leaf.LoadBatch(rows)
	}
	for _, c := range n.children {
		if err := c.load(rows); err != nil {
			return err
		}
	}
	return nil
}

// first is the leaf whose levels describe the node: one without lists below
// the node where there is one, since it has the fewest.
func (n *parquetNode) first() (leaf *parquetNode, repeated bool) {
	if len(n.children) == 0 {
		return n, false
	}
	for i, c := range n.children {
		l, rep := c.first()
		if !rep && !c.isList() {
			return l, false
		}
		if i == 0 {
			leaf = l
		}
	}
	return leaf, true
}

func (n *parquetNode) isList() bool {
	switch n.field.Field.Type.(type) {
	case *arrow.ListType, *arrow.MapType, *arrow.FixedSizeListType, *arrow.LargeListType:
		return true
	}
	return false
}

// build makes the array of at most bound elements from what load decoded.
func (n *parquetNode) build(mem memory.Allocator, bound int64) (arrow.Array, error) {
	switch {
	case len(n.children) == 0:
		return n.buildLeaf(mem, bound)
	case n.isList():
		return n.buildList(mem, bound)
	}
	return n.buildStruct(mem, bound)
}

func (n *parquetNode) buildLeaf(mem memory.Allocator, bound int64) (arrow.Array, error) {
	chunks, err := n.leaf.BuildArray(bound)
	if err != nil {
		return nil, err
	}
	defer chunks.Release()
	switch len(chunks.Chunks()) {
	case 0:
		return array.MakeArrayOfNull(mem, chunks.DataType(), 0), nil
	case 1:
		arr := chunks.Chunk(0)
		arr.Retain()
		return arr, nil
	}
	return array.Concatenate(chunks.Chunks(), mem)
}

func (n *parquetNode) buildStruct(mem memory.Allocator, bound int64) (arrow.Array, error) {
	leaf, repeated := n.first()
	var bitmap *memory.Buffer
	io := file.ValidityBitmapInputOutput{ReadUpperBound: bound, Read: bound}
	if bound > 0 && (repeated || n.field.Field.Nullable) {
		bitmap = newBuffer(mem, int(bitutil.BytesForBits(bound)))
		defer bitmap.Release()
		io.ValidBits = bitmap.Bytes()
		def, err := leaf.leaf.GetDefLevels()
		if err != nil {
			return nil, err
		}
		if repeated {
			rep, err := leaf.leaf.GetRepLevels()
			if err != nil {
				return nil, err
			}
			if err := file.DefRepLevelsToBitmap(def, rep, n.field.LevelInfo, &io); err != nil {
				return nil, err
			}
		} else {
			file.DefLevelsToBitmap(def, n.field.LevelInfo, &io)
		}
	}
	children := make([]arrow.ArrayData, 0, len(n.children))
	fields := make([]arrow.Field, 0, len(n.children))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for _, c := range n.children {
		arr, err := c.build(mem, bound)
		if err != nil {
			return nil, err
		}
		data := arr.Data()
		data.Retain()
		arr.Release()
		children = append(children, data)
		fields = append(fields, arrow.Field{Name: c.field.Field.Name, Type: data.DataType(), Nullable: true})
	}
	if bitmap == nil {
		io.Read = int64(children[0].Len())
	}
	for _, c := range children {
		if int64(c.Len()) != io.Read {
			return nil, fmt.Errorf("the file is damaged: the members of a struct have %d and %d values; write it again", io.Read, c.Len())
		}
	}
	buffers := []*memory.Buffer{nil}
	if io.NullCount > 0 {
		buffers[0] = bitmap
	}
	data := array.NewData(arrow.StructOf(fields...), int(io.Read), buffers, children, int(io.NullCount), 0)
	defer data.Release()
	return array.MakeFromData(data), nil
}

func (n *parquetNode) buildList(mem memory.Allocator, bound int64) (arrow.Array, error) {
	leaf, _ := n.first()
	def, err := leaf.leaf.GetDefLevels()
	if err != nil {
		return nil, err
	}
	rep, err := leaf.leaf.GetRepLevels()
	if err != nil {
		return nil, err
	}
	io := file.ValidityBitmapInputOutput{ReadUpperBound: bound}
	var bitmap *memory.Buffer
	if n.field.Field.Nullable {
		bitmap = newBuffer(mem, int(bitutil.BytesForBits(bound)))
		defer bitmap.Release()
		io.ValidBits = bitmap.Bytes()
	}
	offsets := newBuffer(mem, arrow.Int32Traits.BytesRequired(int(bound)+1))
	defer offsets.Release()
	starts := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	if err := file.DefRepLevelsToListInfo(def, rep, n.field.LevelInfo, &io, starts); err != nil {
		return nil, err
	}
	items, err := n.children[0].build(mem, int64(starts[io.Read])+io.NullCount)
	if err != nil {
		return nil, err
	}
	defer items.Release()
	if int(starts[io.Read]) > items.Len() {
		return nil, fmt.Errorf("the file is damaged: lists have %d elements, and there are %d; write it again", starts[io.Read], items.Len())
	}
	var dt arrow.DataType = arrow.ListOf(items.DataType())
	if st, ok := items.DataType().(*arrow.StructType); ok && st.NumFields() == 2 {
		if _, ok := n.field.Field.Type.(*arrow.MapType); ok {
			dt = arrow.MapOf(st.Field(0).Type, st.Field(1).Type)
			renamed := array.NewData(dt.(*arrow.MapType).Elem(), items.Len(), items.Data().Buffers(), items.Data().Children(), items.NullN(), items.Data().Offset())
			defer renamed.Release()
			return n.listOf(dt, renamed, bitmap, offsets, io), nil
		}
	}
	return n.listOf(dt, items.Data(), bitmap, offsets, io), nil
}

func (n *parquetNode) listOf(dt arrow.DataType, items arrow.ArrayData, bitmap, offsets *memory.Buffer, io file.ValidityBitmapInputOutput) arrow.Array {
	buffers := []*memory.Buffer{nil, offsets}
	if io.NullCount > 0 {
		buffers[0] = bitmap
	}
	data := array.NewData(dt, int(io.Read), buffers, []arrow.ArrayData{items}, int(io.NullCount), 0)
	defer data.Release()
	return array.MakeFromData(data)
}

func newBuffer(mem memory.Allocator, size int) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(size)
	return b
}
