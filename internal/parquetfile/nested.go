package parquetfile

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
)

// A path into structs does not need this file: Arrow makes a value null if one of its
// structs is null, by the levels of the leaf.

// first returns the leaf whose levels describe the part: preferably one without lists
// below the part, since it has the fewest.
func (p *part) first() (leaf *part, repeated bool) {
	if len(p.children) == 0 {
		return p, false
	}
	for i, c := range p.children {
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

// build returns an array of at most bound elements from the values that load decoded.
func (p *part) build(mem memory.Allocator, bound int64) (arrow.Array, error) {
	switch {
	case len(p.children) == 0:
		arr := p.array
		p.array = nil
		return arr, nil
	case p.isList():
		return p.buildList(mem, bound)
	}
	return p.buildStruct(mem, bound)
}

func (p *part) buildStruct(mem memory.Allocator, bound int64) (arrow.Array, error) {
	leaf, repeated := p.first()
	var bitmap *memory.Buffer
	io := file.ValidityBitmapInputOutput{ReadUpperBound: bound, Read: bound}
	if bound > 0 && (repeated || p.nullable) {
		bitmap = newBuffer(mem, int(bitutil.BytesForBits(bound)))
		io.ValidBits = bitmap.Bytes()
		if repeated {
			if err := file.DefRepLevelsToBitmap(leaf.defLevels(), leaf.repLevels(), p.levels, &io); err != nil {
				return nil, err
			}
		} else {
			file.DefLevelsToBitmap(leaf.defLevels(), p.levels, &io)
		}
	}
	children := make([]arrow.ArrayData, 0, len(p.children))
	fields := make([]arrow.Field, 0, len(p.children))
	for _, c := range p.children {
		arr, err := c.build(mem, bound)
		if err != nil {
			return nil, err
		}
		children = append(children, arr.Data())
		fields = append(fields, arrow.Field{Name: c.name, Type: arr.DataType(), Nullable: true})
	}
	if bitmap == nil {
		io.Read = int64(children[0].Len())
	}
	for _, c := range children {
		if int64(c.Len()) != io.Read {
			return nil, fmt.Errorf("the members of a struct have %d and %d values", io.Read, c.Len())
		}
	}
	shown := len(p.dt.(*arrow.StructType).Fields())
	children, fields = children[:shown], fields[:shown]
	buffers := []*memory.Buffer{nil}
	if io.NullCount > 0 {
		buffers[0] = bitmap
	}
	return array.MakeFromData(array.NewData(arrow.StructOf(fields...), int(io.Read), buffers, children, int(io.NullCount), 0)), nil
}

func (p *part) buildList(mem memory.Allocator, bound int64) (arrow.Array, error) {
	leaf, _ := p.first()
	io := file.ValidityBitmapInputOutput{ReadUpperBound: bound}
	var bitmap *memory.Buffer
	if p.nullable {
		bitmap = newBuffer(mem, int(bitutil.BytesForBits(bound)))
		io.ValidBits = bitmap.Bytes()
	}
	offsets := newBuffer(mem, arrow.Int32Traits.BytesRequired(int(bound)+1))
	starts := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	if err := file.DefRepLevelsToListInfo(leaf.defLevels(), leaf.repLevels(), p.levels, &io, starts); err != nil {
		return nil, err
	}
	items, err := p.children[0].build(mem, int64(starts[io.Read])+io.NullCount)
	if err != nil {
		return nil, err
	}
	if int(starts[io.Read]) > items.Len() {
		return nil, fmt.Errorf("lists need %d elements, but there are %d", starts[io.Read], items.Len())
	}
	var dt arrow.DataType = arrow.ListOf(items.DataType())
	values := items.Data()
	if _, isMap := p.dt.(*arrow.MapType); isMap {
		entry := items.DataType().(*arrow.StructType)
		m := arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
		dt, values = m, array.NewData(m.Elem(), items.Len(), values.Buffers(), values.Children(), items.NullN(), values.Offset())
	}
	buffers := []*memory.Buffer{nil, offsets}
	if io.NullCount > 0 {
		buffers[0] = bitmap
	}
	return array.MakeFromData(array.NewData(dt, int(io.Read), buffers, []arrow.ArrayData{values}, int(io.NullCount), 0)), nil
}

func newBuffer(mem memory.Allocator, size int) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(size)
	return b
}
