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

// column returns rows of a column of a record batch. The arrays are safe to use: offsets
// rise and stay within their data, indices within their dictionary. Their memory is
// garbage collected, so nothing is released.
type column struct {
	*node
	mem   *columnar.Budget
	n     int64     // elements
	valid []*buffer // bitmaps, its own and those of the structs above; empty if nothing is null
	bufs  []*buffer
	kids  []*column

	views []*buffer       // the data of views
	all   arrow.ArrayData // all items of list views, all values of runs, a dictionary
	ends  arrow.ArrayData // of runs
}

func (c *column) close() {
	for _, buffers := range [][]*buffer{c.valid, c.bufs, c.views} {
		for _, b := range buffers {
			b.close()
		}
	}
	for _, k := range c.kids {
		k.close()
	}
}

// load returns n elements.
func (c *column) load(from, n int64) (arrow.ArrayData, error) {
	if from < 0 || n < 0 || n > c.n-from {
		return nil, errShort
	}
	if n > math.MaxInt32 {
		return nil, errIPC
	}
	bitmap, nulls, err := c.nulls(from, n)
	if err != nil {
		return nil, err
	}
	buffers, kids, err := c.values(from, n, bitmap)
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
		return array.NewDataWithDictionary(c.dt, int(n), all, nulls, 0, c.all.(*array.Data)), nil
	}
	return array.NewData(c.dt, int(n), all, kids, nulls, 0), nil
}

// nulls returns the bitmap of elements that are not null, here and in the structs above.
// It is nil if no element is null.
func (c *column) nulls(from, n int64) (bitmap []byte, nulls int, err error) {
	if c.form == formNull {
		return nil, int(n), nil
	}
	for _, b := range c.valid {
		p, err := b.bits(from, n)
		if err != nil {
			return nil, 0, err
		}
		for k := range bitmap {
			p[k] &= bitmap[k]
		}
		bitmap = p
	}
	if bitmap != nil {
		nulls = int(n) - bitutil.CountSetBits(bitmap, 0, int(n))
	}
	if nulls == 0 {
		bitmap = nil
	}
	return bitmap, nulls, nil
}

// fixed returns values of fixed width.
func (c *column) fixed(buffer int, from, n int64) ([]byte, error) {
	return c.bufs[buffer].part(from*c.width, (from+n)*c.width)
}

// values returns the buffers and children of elements.
func (c *column) values(from, n int64, bitmap []byte) (buffers [][]byte, kids []arrow.ArrayData, err error) {
	var p, ends []byte
	var start, end int64
	switch c.form {
	case formFixed:
		p, err = c.fixed(0, from, n)
		return [][]byte{p}, nil, err
	case formBits:
		p, err = c.bufs[0].bits(from, n)
		return [][]byte{p}, nil, err
	case formUUID:
		if p, err = c.fixed(0, from, n); err == nil {
			c.mem.Take(int(n) * (columnar.UUIDLen + 4))
			ends, p = columnar.UUIDs(p)
		}
		return [][]byte{ends, p}, nil, err
	case formDictionary:
		p, err = c.fixed(0, from, n)
		for i := 0; i < int(n) && err == nil; i++ {
			// A negative index is a very large one.
			if v := wide(p, i, c.width); uint64(v) >= uint64(c.all.Len()) && (bitmap == nil || bitutil.BitIsSet(bitmap, i)) {
				err = fmt.Errorf("%w (it refers to an entry that its dictionary does not have)", errIPC)
			}
		}
		return [][]byte{p}, nil, err
	case formText:
		if ends, start, end, err = c.offsets(from, n); err == nil {
			p, err = c.bufs[1].part(start, end)
		}
		return [][]byte{ends, p}, nil, err
	case formList:
		if ends, start, end, err = c.offsets(from, n); err == nil {
			kids, err = c.children(start, end-start)
		}
		return [][]byte{ends}, kids, err
	case formGroup:
		kids, err = c.children(from*c.width, n*c.width)
		return nil, kids, err
	case formView:
		return c.viewed(from, n, bitmap)
	case formListView:
		return c.listed(from, n, bitmap)
	case formRuns:
		return c.runs(from, n)
	}
	return nil, nil, nil
}

// children returns elements of all children.
func (c *column) children(from, n int64) (out []arrow.ArrayData, err error) {
	out = make([]arrow.ArrayData, len(c.kids))
	for i, k := range c.kids {
		if out[i], err = k.load(from, n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// offsets returns the offsets of elements relative to the first one, and where their data
// start and end.
func (c *column) offsets(from, n int64) (out []byte, start, end int64, err error) {
	if n == 0 {
		return make([]byte, c.width), 0, 0, nil
	}
	p, err := c.fixed(0, from, n+1)
	if err != nil {
		return nil, 0, 0, err
	}
	c.mem.Take(len(p))
	out = make([]byte, 0, len(p))
	start = signed(p, 0, c.width)
	end = start
	for i := range int(n) + 1 {
		v := signed(p, i, c.width)
		if v < end || v < 0 {
			return nil, 0, 0, errIPC
		}
		end = v
		if c.width == 4 {
			out = binary.LittleEndian.AppendUint32(out, uint32(v-start))
		} else {
			out = binary.LittleEndian.AppendUint64(out, uint64(v-start))
		}
	}
	return out, start, end, nil
}

// wide returns the unsigned number of width bytes at an index.
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

// signed is wide for signed numbers.
func signed(p []byte, i int, width int64) int64 {
	shift := 64 - 8*width
	return int64(wide(p, i, width)<<shift) >> shift
}
