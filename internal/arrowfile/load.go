package arrowfile

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// loader gives a column of a record batch in parts, from its first element to
// its last. What it gives is safe to use: offsets rise and stay within their
// data, indices within their dictionary.
type loader interface {
	load(n int) (arrow.ArrayData, error)
	// length is how many elements there are in all.
	length() int64
	close()
}

// base is what all loaders share.
type base struct {
	dt       arrow.DataType
	n        int64 // elements in all
	done     int64 // elements given
	validity *bits
	streams  []*stream
}

func (b *base) length() int64 { return b.n }

func (b *base) close() {
	if b.validity != nil {
		b.validity.s.close()
	}
	for _, s := range b.streams {
		s.close()
	}
}

// begin counts n elements as given, and reads which of them are null.
func (b *base) begin(n int) (bitmap *memory.Buffer, nulls int, err error) {
	if n < 0 || int64(n) > b.n-b.done {
		return nil, 0, errShort
	}
	b.done += int64(n)
	if b.validity == nil || n == 0 {
		return nil, 0, nil
	}
	p, err := b.validity.read(n)
	if err != nil {
		return nil, 0, err
	}
	if nulls = n - bitutil.CountSetBits(p, 0, n); nulls == 0 {
		return nil, 0, nil
	}
	return memory.NewBufferBytes(p), nulls, nil
}

// loader makes the loader of a column and its children.
func (l *layout) loader(dt arrow.DataType, ids fieldIDs) (loader, error) {
	if ext, ok := dt.(arrow.ExtensionType); ok {
		return l.loader(ext.StorageType(), ids)
	}
	if _, ok := dt.(*arrow.NullType); ok {
		if l.node >= len(l.batch.nodes) {
			return nil, errIPC
		}
		l.node++
		return &nullLoader{base{dt: dt, n: l.batch.nodes[l.node-1].a}}, nil
	}
	buffers, children := shape(dt)
	if _, ok := dt.(*arrow.RunEndEncodedType); ok {
		return l.runs(dt, ids, children)
	}
	length, validity, err := l.next()
	if err != nil {
		return nil, err
	}
	b := base{dt: loaded(dt), n: length, validity: validity}
	for range buffers - 1 {
		s, err := l.open()
		if err != nil {
			return nil, err
		}
		b.streams = append(b.streams, s)
	}
	var inner []loader
	for i, c := range children {
		if i >= len(ids.children) {
			return nil, errIPC
		}
		in, err := l.loader(c, ids.children[i])
		if err != nil {
			return nil, err
		}
		inner = append(inner, in)
	}
	return l.make(dt, b, ids, inner)
}

// runs makes the loader of a run-end-encoded column, which has no buffers itself.
func (l *layout) runs(dt arrow.DataType, ids fieldIDs, children []arrow.DataType) (loader, error) {
	if l.node >= len(l.batch.nodes) || len(ids.children) != len(children) {
		return nil, errIPC
	}
	r := &runLoader{base: base{dt: loaded(dt), n: l.batch.nodes[l.node].a}}
	l.node++
	var err error
	if r.ends, err = l.loader(children[0], ids.children[0]); err == nil {
		r.values, err = l.loader(children[1], ids.children[1])
	}
	return r, err
}

// views makes the loader of views, whose texts lie in as many buffers as the batch
// says.
func (l *layout) views(b base) (loader, error) {
	if l.variadi >= len(l.batch.variadic) {
		return nil, errIPC
	}
	n := l.batch.variadic[l.variadi]
	l.variadi++
	if n < 0 || n > int64(len(l.batch.buffers)-l.buffer) {
		return nil, errIPC
	}
	v := &viewLoader{base: b, buffers: make([]span, n), mem: l.mem}
	for i := range v.buffers {
		at := *l
		at.buffer += i
		v.buffers[i].open = func() (*stream, error) { here := at; return here.open() }
	}
	l.buffer += int(n)
	return v, nil
}

func (l *layout) make(stored arrow.DataType, b base, ids fieldIDs, inner []loader) (loader, error) {
	switch dt := stored.(type) {
	case *uuidType:
		raw := b
		raw.dt = dt.FixedSizeBinaryType
		return &uuidLoader{fixedLoader: fixedLoader{base: raw, width: 16}, dt: b.dt, mem: l.mem}, nil
	case arrow.BinaryViewDataType:
		return l.views(b)
	case *arrow.ListViewType:
		return &listViewLoader{base: b, width: 4, items: inner[0]}, nil
	case *arrow.LargeListViewType:
		return &listViewLoader{base: b, width: 8, items: inner[0]}, nil
	case *arrow.BooleanType:
		return &boolLoader{base: b, values: bits{s: b.streams[0]}}, nil
	case *arrow.StringType, *arrow.BinaryType:
		return &binaryLoader{base: b, offsets: offsets{s: b.streams[0], width: 4}}, nil
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		return &binaryLoader{base: b, offsets: offsets{s: b.streams[0], width: 8}}, nil
	case *arrow.ListType, *arrow.MapType:
		return &listLoader{base: b, offsets: offsets{s: b.streams[0], width: 4}, items: inner[0]}, nil
	case *arrow.LargeListType:
		return &listLoader{base: b, offsets: offsets{s: b.streams[0], width: 8}, items: inner[0]}, nil
	case *arrow.FixedSizeListType:
		return &groupLoader{base: b, times: int64(dt.Len()), inner: inner}, nil
	case *arrow.StructType:
		return &groupLoader{base: b, times: 1, inner: inner}, nil
	case *arrow.DictionaryType:
		d := l.reader.dicts[ids.dictionary]
		if d == nil {
			return nil, errIPC
		}
		if d.values == nil {
			d.values = array.MakeArrayOfNull(memory.DefaultAllocator, loaded(d.dt), 0)
		}
		indices := b
		indices.dt = dt.IndexType
		return &dictionaryLoader{fixedLoader: fixedLoader{base: indices, width: int64(dt.IndexType.(arrow.FixedWidthDataType).Bytes())}, dt: b.dt, values: d.values}, nil
	case arrow.FixedWidthDataType:
		if dt.Bytes() > 0 {
			return &fixedLoader{base: b, width: int64(dt.Bytes())}, nil
		}
	}
	return nil, fmt.Errorf("its type %s can't be read", stored)
}

type nullLoader struct{ base }

func (l *nullLoader) load(n int) (arrow.ArrayData, error) {
	if _, _, err := l.begin(n); err != nil {
		return nil, err
	}
	return array.NewData(l.dt, n, []*memory.Buffer{nil}, nil, n, 0), nil
}

// fixedLoader loads values of the same number of bytes each.
type fixedLoader struct {
	base
	width int64
}

func (l *fixedLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	p, err := l.streams[0].read(int64(n) * l.width)
	if err != nil {
		return nil, err
	}
	return array.NewData(l.dt, n, []*memory.Buffer{bitmap, memory.NewBufferBytes(p)}, nil, nulls, 0), nil
}

type boolLoader struct {
	base
	values bits
}

func (l *boolLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	var p []byte
	if n > 0 {
		if p, err = l.values.read(n); err != nil {
			return nil, err
		}
	}
	return array.NewData(l.dt, n, []*memory.Buffer{bitmap, memory.NewBufferBytes(p)}, nil, nulls, 0), nil
}

// offsets reads the ends of elements of varying length.
type offsets struct {
	s     *stream
	width int64 // 4 or 8 bytes
	begun bool
	last  int64
}

func (o *offsets) at(p []byte) int64 {
	if o.width == 4 {
		return int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return int64(binary.LittleEndian.Uint64(p))
}

// start reads the very first offset, which says how much of the data comes
// before the first element.
func (o *offsets) start() (before int64, err error) {
	if o.begun {
		return 0, nil
	}
	o.begun = true
	p, err := o.s.read(o.width)
	if err != nil {
		return 0, err
	}
	if o.last = o.at(p); o.last < 0 {
		return 0, errIPC
	}
	return o.last, nil
}

// read gives the offsets of the next n elements, counted from the first of
// them, and the length of their data.
func (o *offsets) read(n int) (out []byte, length int64, err error) {
	p, err := o.s.read(int64(n) * o.width)
	if err != nil {
		return nil, 0, err
	}
	o.s.mem.Take(len(p) + int(o.width))
	out = make([]byte, len(p)+int(o.width))
	first, last := o.last, o.last
	if o.width == 4 {
		for i := 0; i < len(p); i += 4 {
			v := int64(int32(binary.LittleEndian.Uint32(p[i:])))
			if v < last {
				return nil, 0, errIPC
			}
			last = v
			binary.LittleEndian.PutUint32(out[i+4:], uint32(v-first))
		}
	} else {
		for i := 0; i < len(p); i += 8 {
			v := int64(binary.LittleEndian.Uint64(p[i:]))
			if v < last {
				return nil, 0, errIPC
			}
			last = v
			binary.LittleEndian.PutUint64(out[i+8:], uint64(v-first))
		}
	}
	o.last = last
	return out, last - first, nil
}

type binaryLoader struct {
	base
	offsets offsets
}

func (l *binaryLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return array.NewData(l.dt, 0, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, 8)), memory.NewBufferBytes(nil)}, nil, 0, 0), nil
	}
	before, err := l.offsets.start()
	if err != nil {
		return nil, err
	}
	if err := l.streams[1].skip(before); err != nil {
		return nil, err
	}
	ends, length, err := l.offsets.read(n)
	if err != nil {
		return nil, err
	}
	p, err := l.streams[1].read(length)
	if err != nil {
		return nil, err
	}
	return array.NewData(l.dt, n, []*memory.Buffer{bitmap, memory.NewBufferBytes(ends), memory.NewBufferBytes(p)}, nil, nulls, 0), nil
}
