package arrowfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
)

// column returns a column of a record batch in parts, from its first element to its
// last. What it returns is safe to use: offsets rise and stay within their data,
// indices within their dictionary. Its memory is Go's, so that nothing is released.
type column struct {
	*node
	mem     *columnar.Budget
	n, done int64 // elements in all, and those that were returned
	valid   *bits // nil where nothing is null
	above   []*bits
	bufs    []*stream
	kids    []*column

	booleans bits            // over the first of bufs
	begun    bool            // the first offset was read
	last     int64           // offset
	views    []span          // what views refer to
	all      arrow.ArrayData // all items of list views, all values of runs, a dictionary
	ends     arrow.ArrayData // of runs
	run      int
}

func (c *column) close() {
	for _, b := range c.above {
		b.close()
	}
	if c.valid != nil {
		c.valid.close()
	}
	for _, s := range c.bufs {
		s.close()
	}
	for i := range c.views {
		c.views[i].close()
	}
	for _, k := range c.kids {
		k.close()
	}
}

// load returns the next n elements.
func (c *column) load(n int) (arrow.ArrayData, error) {
	if n < 0 || int64(n) > c.n-c.done {
		return nil, errShort
	}
	c.done += int64(n)
	bitmap, nulls, err := c.nulls(n)
	if err != nil {
		return nil, err
	}
	buffers, kids, err := c.values(n, bitmap)
	if err != nil {
		return nil, err
	}
	all := []*memory.Buffer{nil}
	if nulls > 0 && c.form != formNull {
		all[0] = memory.NewBufferBytes(bitmap)
	}
	for _, b := range buffers {
		all = append(all, memory.NewBufferBytes(b))
	}
	if c.dt.ID() == arrow.DICTIONARY {
		return array.NewDataWithDictionary(c.dt, n, all, nulls, 0, c.all.(*array.Data)), nil
	}
	return array.NewData(c.dt, n, all, kids, nulls, 0), nil
}

// nulls reads which of the next n elements are null, here or in a struct above. The
// bitmap is nil where none is.
func (c *column) nulls(n int) (bitmap []byte, nulls int, err error) {
	if c.form == formNull {
		return nil, n, nil
	}
	from := c.above
	if c.valid != nil {
		from = append(from[:len(from):len(from)], c.valid)
	}
	for i, b := range from {
		p, err := b.next(n)
		if err != nil {
			return nil, 0, err
		}
		if i == 0 {
			bitmap = p
			continue
		}
		for k := range p {
			bitmap[k] &= p[k]
		}
	}
	if bitmap != nil {
		nulls = n - bitutil.CountSetBits(bitmap, 0, n)
	}
	if nulls == 0 {
		bitmap = nil
	}
	return bitmap, nulls, nil
}

// values reads the buffers and children of the next n elements.
func (c *column) values(n int, bitmap []byte) (buffers [][]byte, kids []arrow.ArrayData, err error) {
	var p, ends []byte
	var length int64
	switch c.form {
	case formFixed:
		p, err = c.bufs[0].read(int64(n) * c.width)
		return [][]byte{p}, nil, err
	case formBits:
		p, err = c.booleans.next(n)
		return [][]byte{p}, nil, err
	case formUUID:
		if p, err = c.bufs[0].read(int64(n) * c.width); err == nil {
			c.mem.Take(n * (columnar.UUIDLen + 4))
			ends, p = columnar.UUIDs(p)
		}
		return [][]byte{ends, p}, nil, err
	case formDictionary:
		p, err = c.bufs[0].read(int64(n) * c.width)
		for i := 0; i < n && err == nil; i++ {
			// A negative index is a very large one.
			if v := wide(p, i, c.width); uint64(v) >= uint64(c.all.Len()) && (bitmap == nil || bitutil.BitIsSet(bitmap, i)) {
				err = fmt.Errorf("%w (it refers to an entry that its dictionary does not have)", errIPC)
			}
		}
		return [][]byte{p}, nil, err
	case formText:
		if ends, length, err = c.offsets(n, c.bufs[1].skip); err == nil {
			p, err = c.bufs[1].read(length)
		}
		return [][]byte{ends, p}, nil, err
	case formList:
		if ends, length, err = c.offsets(n, c.kids[0].skip); err == nil {
			kids, err = c.children(length)
		}
		return [][]byte{ends}, kids, err
	case formGroup:
		kids, err = c.children(int64(n) * c.width)
		return nil, kids, err
	case formView:
		return c.viewed(n, bitmap)
	case formListView:
		return c.listed(n, bitmap)
	case formRuns:
		return c.runs(n)
	}
	return nil, nil, nil
}

// children reads the next n elements of all children.
func (c *column) children(n int64) (out []arrow.ArrayData, err error) {
	if n < 0 || n > math.MaxInt32 {
		return nil, errIPC
	}
	out = make([]arrow.ArrayData, len(c.kids))
	for i, k := range c.kids {
		if out[i], err = k.load(int(n)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// skip passes over n elements.
func (c *column) skip(n int64) error {
	const step = 8 << 10
	for ; n > 0; n -= step {
		if _, err := c.load(int(min(n, step))); err != nil {
			return err
		}
	}
	return nil
}

// offsets returns the offsets of the next n elements, counted from the first of them,
// and the length of their data. What comes before the very first is skipped.
func (c *column) offsets(n int, skip func(int64) error) (out []byte, length int64, err error) {
	if n == 0 {
		return make([]byte, c.width), 0, nil
	}
	put := func(i int, v int64) {
		if c.width == 4 {
			binary.LittleEndian.PutUint32(out[4*i:], uint32(v))
		} else {
			binary.LittleEndian.PutUint64(out[8*i:], uint64(v))
		}
	}
	if !c.begun {
		c.begun = true
		p, err := c.bufs[0].read(c.width)
		if err != nil {
			return nil, 0, err
		}
		if c.last = signed(p, 0, c.width); c.last < 0 {
			return nil, 0, errIPC
		}
		if err := skip(c.last); err != nil {
			return nil, 0, err
		}
	}
	p, err := c.bufs[0].read(int64(n) * c.width)
	if err != nil {
		return nil, 0, err
	}
	c.mem.Take(len(p) + int(c.width))
	out = make([]byte, len(p)+int(c.width))
	first := c.last
	for i := range n {
		v := signed(p, i, c.width)
		if v < c.last {
			return nil, 0, errIPC
		}
		c.last = v
		put(i+1, v-first)
	}
	return out, c.last - first, nil
}

// wide returns the number of so many bytes at an index.
func wide(p []byte, i int, width int64) uint64 {
	switch width {
	case 1:
		return uint64(p[i])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p[2*i:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return binary.LittleEndian.Uint64(p[8*i:])
}

// signed is wide for numbers that have a sign.
func signed(p []byte, i int, width int64) int64 {
	shift := 64 - 8*width
	return int64(wide(p, i, width)<<shift) >> shift
}
