package arrowfile

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
)

// span returns parts of a buffer in any order. What is near the part before is read
// on from there; before that, the buffer is read from its beginning again. So
// memory is taken only for what the rows at hand refer to, and texts in the order
// of the rows, as writers leave them, are read once.
type span struct {
	open  func() (*stream, error)
	s     *stream
	start int64 // of data in the buffer
	data  []byte
	used  bool // by the last rows
}

// part returns the bytes from a place up to another.
func (s *span) part(from, to int64) ([]byte, error) {
	s.used = true
	if s.s == nil || from < s.start {
		s.close()
		var err error
		if s.s, err = s.open(); err != nil {
			return nil, err
		}
	}
	end := s.start + int64(len(s.data))
	if from >= end {
		if err := s.s.skip(from - end); err != nil {
			return nil, err
		}
		s.start, s.data, end = from, nil, from
	}
	if to > end {
		more, err := s.s.read(to - end)
		if err != nil {
			return nil, err
		}
		if kept := s.data[from-s.start:]; len(kept) > 0 {
			s.s.mem.Take(len(kept))
			more = append(append(make([]byte, 0, len(kept)+len(more)), kept...), more...)
		}
		s.start, s.data = from, more
	}
	return s.data[from-s.start : to-s.start], nil
}

func (s *span) close() {
	if s.s != nil {
		s.s.close()
	}
	s.s, s.data, s.start = nil, nil, 0
}

// Parts of a view, in bytes: its length, then the text or, beyond inlined bytes,
// a prefix, the number of its buffer and its place there.
const (
	viewBytes   = 16
	viewInlined = 12
)

// viewed reads the next n texts that are stored as views: short ones in place, others
// as a place in one of many buffers.
func (c *column) viewed(n int, bitmap []byte) ([][]byte, []arrow.ArrayData, error) {
	views, err := c.bufs[0].read(int64(n) * viewBytes)
	if err != nil {
		return nil, nil, err
	}
	// each calls do with each view that is not null; from and to are its place in a
	// buffer, which is nil for a view that is the text itself.
	each := func(do func(i int, v []byte, buffer *span, from, to int64)) error {
		for i := range n {
			if bitmap != nil && bitutil.BitIsNotSet(bitmap, i) {
				continue
			}
			v := views[i*viewBytes : (i+1)*viewBytes]
			length := signed(v, 0, 4)
			if length <= viewInlined && length >= 0 {
				do(i, v[4:4+length], nil, 0, length)
				continue
			}
			buffer, at := int(wide(v, 2, 4)), signed(v, 3, 4)
			if length < 0 || at < 0 || buffer >= len(c.views) {
				return errIPC
			}
			do(i, nil, &c.views[buffer], at, at+length)
		}
		return nil
	}
	var total int64
	bounds := map[*span][2]int64{} // what is needed of each buffer
	err = each(func(_ int, _ []byte, b *span, from, to int64) {
		if total += to - from; b != nil {
			known, ok := bounds[b]
			if !ok {
				known = [2]int64{from, to}
			}
			bounds[b] = [2]int64{min(known[0], from), max(known[1], to)}
		}
	})
	if err != nil || total > math.MaxInt32 {
		return nil, nil, errIPC
	}
	c.mem.Take(int(total) + 4*(n+1))
	parts := make(map[*span][]byte, len(bounds))
	for b, place := range bounds {
		if parts[b], err = b.part(place[0], place[1]); err != nil {
			return nil, nil, err
		}
	}
	for i := range c.views {
		if b := &c.views[i]; !b.used {
			b.close()
		}
		c.views[i].used = false
	}
	ends, out := make([]int32, n+1), make([]byte, 0, total)
	last := 0
	err = each(func(i int, v []byte, b *span, from, to int64) {
		for ; last < i; last++ {
			ends[last+1] = int32(len(out))
		}
		if b != nil {
			v = parts[b][from-bounds[b][0] : to-bounds[b][0]]
		}
		out = append(out, v...)
	})
	for ; last < n; last++ {
		ends[last+1] = int32(len(out))
	}
	return [][]byte{arrow.Int32Traits.CastToBytes(ends), out}, nil, err
}

// listed reads the next n lists whose places in their items are in no order. All
// items are loaded with the first of them.
func (c *column) listed(n int, bitmap []byte) (_ [][]byte, _ []arrow.ArrayData, err error) {
	if c.all == nil {
		if c.all, err = c.kids[0].loadAll(); err != nil {
			return nil, nil, err
		}
	}
	var places [2][]byte
	for i := range places {
		if places[i], err = c.bufs[i].read(int64(n) * c.width); err != nil {
			return nil, nil, err
		}
	}
	for i := range n {
		at, size := signed(places[0], i, c.width), signed(places[1], i, c.width)
		if bitmap != nil && bitutil.BitIsNotSet(bitmap, i) {
			for _, p := range places {
				clear(p[int64(i)*c.width : int64(i+1)*c.width])
			}
		} else if at < 0 || size < 0 || at > int64(c.all.Len())-size {
			return nil, nil, errIPC
		}
	}
	return places[:], []arrow.ArrayData{c.all}, nil
}

func (c *column) loadAll() (arrow.ArrayData, error) {
	if c.n < 0 || c.n > math.MaxInt32 {
		return nil, errIPC
	}
	return c.load(int(c.n))
}

// runs reads the next n rows of a run-end-encoded column: the number of its run is
// each row's index. All runs are loaded with the first rows.
func (c *column) runs(n int) (_ [][]byte, _ []arrow.ArrayData, err error) {
	if c.all == nil {
		if c.ends, err = c.kids[0].loadAll(); err != nil {
			return nil, nil, err
		}
		if c.all, err = c.kids[1].loadAll(); err != nil {
			return nil, nil, err
		}
	}
	c.mem.Take(4 * n)
	index := make([]int32, n)
	row := c.done - int64(n)
	runs := min(c.ends.Len(), c.all.Len())
	for i := range index {
		for c.run < runs && row >= signed(c.ends.Buffers()[1].Bytes(), c.run, c.kids[0].width) {
			c.run++
		}
		if c.run == runs {
			return nil, nil, fmt.Errorf("%w (its runs end before its rows)", errIPC)
		}
		index[i] = int32(c.run)
		row++
	}
	return [][]byte{arrow.Int32Traits.CastToBytes(index)}, nil, nil
}
