package arrowfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

type listLoader struct {
	base
	offsets offsets
	items   loader
}

func (l *listLoader) close() {
	l.base.close()
	l.items.close()
}

func (l *listLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	ends := make([]byte, 8)
	var length int64
	if n > 0 {
		before, err := l.offsets.start()
		if err != nil {
			return nil, err
		}
		if err := passOver(l.items, before); err != nil {
			return nil, err
		}
		if ends, length, err = l.offsets.read(n); err != nil {
			return nil, err
		}
	}
	if length > math.MaxInt32 {
		return nil, errIPC
	}
	items, err := l.items.load(int(length))
	if err != nil {
		return nil, err
	}
	defer items.Release()
	return array.NewData(l.dt, n, []*memory.Buffer{bitmap, memory.NewBufferBytes(ends)}, []arrow.ArrayData{items}, nulls, 0), nil
}

// passOver loads n elements for nothing.
func passOver(l loader, n int64) error {
	const step = 8 << 10
	for n > 0 {
		part := min(n, step)
		data, err := l.load(int(part))
		if err != nil {
			return err
		}
		data.Release()
		n -= part
	}
	return nil
}

// groupLoader loads a struct, or lists of the same length each: for each of its
// elements, its children have a fixed number.
type groupLoader struct {
	base
	times int64
	inner []loader
}

func (l *groupLoader) close() {
	l.base.close()
	for _, in := range l.inner {
		in.close()
	}
}

func (l *groupLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	if l.times < 0 || int64(n)*l.times > math.MaxInt32 {
		return nil, errIPC
	}
	children := make([]arrow.ArrayData, 0, len(l.inner))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for _, in := range l.inner {
		c, err := in.load(n * int(l.times))
		if err != nil {
			return nil, err
		}
		children = append(children, c)
	}
	return array.NewData(l.dt, n, []*memory.Buffer{bitmap}, children, nulls, 0), nil
}

type dictionaryLoader struct {
	fixedLoader
	dt     arrow.DataType
	values arrow.Array
}

func (l *dictionaryLoader) load(n int) (arrow.ArrayData, error) {
	data, err := l.fixedLoader.load(n)
	if err != nil {
		return nil, err
	}
	defer data.Release()
	p := data.Buffers()[1].Bytes()
	var valid []byte
	if b := data.Buffers()[0]; b != nil {
		valid = b.Bytes()
	}
	size := uint64(l.values.Len())
	for i := range n {
		var v uint64
		switch l.width {
		case 1:
			v = uint64(p[i])
		case 2:
			v = uint64(binary.LittleEndian.Uint16(p[2*i:]))
		case 4:
			v = uint64(binary.LittleEndian.Uint32(p[4*i:]))
		default:
			v = binary.LittleEndian.Uint64(p[8*i:])
		}
		// A negative index is a very large one here.
		if v >= size && (valid == nil || bitutil.BitIsSet(valid, i)) {
			return nil, fmt.Errorf("%w (it refers to an entry that its dictionary does not have)", errIPC)
		}
	}
	return array.NewDataWithDictionary(l.dt, n, data.Buffers(), data.NullN(), 0, l.values.Data().(*array.Data)), nil
}

// pathLoader loads what lies within structs: null also where a struct is.
type pathLoader struct {
	loader
	above []*bits
}

func (l *pathLoader) close() {
	l.loader.close()
	for _, b := range l.above {
		b.s.close()
	}
}

func (l *pathLoader) load(n int) (arrow.ArrayData, error) {
	data, err := l.loader.load(n)
	if err != nil {
		return nil, err
	}
	size := int(bitutil.BytesForBits(int64(n)))
	valid := make([]byte, size)
	if b := data.Buffers()[0]; b != nil {
		copy(valid, b.Bytes()[:size])
	} else if data.DataType().ID() == arrow.NULL {
		return data, nil
	} else {
		bitutil.SetBitsTo(valid, 0, int64(n), true)
	}
	for _, above := range l.above {
		p, err := above.read(n)
		if err != nil {
			data.Release()
			return nil, err
		}
		for i := range valid {
			valid[i] &= p[i]
		}
	}
	nulls := n - bitutil.CountSetBits(valid, 0, n)
	buffers := append([]*memory.Buffer{memory.NewBufferBytes(valid)}, data.Buffers()[1:]...)
	defer data.Release()
	if d := data.Dictionary(); d != nil && data.DataType().ID() == arrow.DICTIONARY {
		return array.NewDataWithDictionary(data.DataType(), n, buffers, nulls, 0, d.(*array.Data)), nil
	}
	return array.NewData(data.DataType(), n, buffers, data.Children(), nulls, 0), nil
}
