package arrowfile

import (
	"bytes"
	"fmt"
	"math"
	"sort"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
)

// Sizes of a view in bytes. A view has a length, and then the text or, if it is longer than
// viewInlined, a prefix, the number of a buffer and the offset there.
const (
	viewBytes   = 16
	viewInlined = 12
)

// viewed returns texts that are stored as views: short ones inline, others in one of many
// buffers.
func (c *column) viewed(from, n int64, bitmap []byte) ([][]byte, []arrow.ArrayData, error) {
	views, err := c.bufs[0].part(from*viewBytes, (from+n)*viewBytes)
	if err != nil {
		return nil, nil, err
	}
	type span struct {
		from, to int64
		data     []byte
	}
	spans := make([]span, len(c.views)) // the needed part of each buffer
	c.mem.Take(4 * int(n+1))
	ends := make([]int32, n+1)
	total := int64(0)
	for i := range int(n) {
		v := views[i*viewBytes : (i+1)*viewBytes]
		length := signed(v, 0, 4)
		switch {
		case bitmap != nil && bitutil.BitIsNotSet(bitmap, i):
			length = 0
		case length < 0:
			return nil, nil, errIPC
		case length > viewInlined:
			b, at := wide(v, 2, 4), signed(v, 3, 4)
			if at < 0 || b >= uint64(len(spans)) {
				return nil, nil, errIPC
			}
			if spans[b].to == 0 {
				spans[b].from = at
			}
			spans[b].from, spans[b].to = min(spans[b].from, at), max(spans[b].to, at+length)
		}
		if total += length; total > math.MaxInt32 {
			return nil, nil, errIPC
		}
		ends[i+1] = int32(total)
	}
	c.mem.Take(int(total))
	for i, b := range c.views {
		if spans[i].to == 0 {
			b.close()
		} else if spans[i].data, err = b.part(spans[i].from, spans[i].to); err != nil {
			return nil, nil, err
		}
	}
	out := make([]byte, 0, total)
	for i := range int(n) {
		v := views[i*viewBytes : (i+1)*viewBytes]
		length := int64(ends[i+1] - ends[i])
		if length <= viewInlined {
			out = append(out, v[4:4+length]...)
			continue
		}
		s := spans[wide(v, 2, 4)]
		at := signed(v, 3, 4) - s.from
		out = append(out, s.data[at:at+length]...)
	}
	return [][]byte{arrow.Int32Traits.CastToBytes(ends), out}, nil, nil
}

// listed returns lists whose items can be in any order. All items are loaded with the
// first lists.
func (c *column) listed(from, n int64, bitmap []byte) (_ [][]byte, _ []arrow.ArrayData, err error) {
	if c.all == nil {
		if c.all, err = c.kids[0].load(0, c.kids[0].n); err != nil {
			return nil, nil, err
		}
	}
	var places [2][]byte
	for i := range places {
		p, err := c.fixed(i, from, n)
		if err != nil {
			return nil, nil, err
		}
		c.mem.Take(len(p))
		places[i] = bytes.Clone(p)
	}
	for i := range int(n) {
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

// runs returns rows of a run-end-encoded column as indices of their runs. All runs are
// loaded with the first rows.
func (c *column) runs(from, n int64) (_ [][]byte, _ []arrow.ArrayData, err error) {
	if c.all == nil {
		if c.ends, err = c.kids[0].load(0, c.kids[0].n); err != nil {
			return nil, nil, err
		}
		if c.all, err = c.kids[1].load(0, c.kids[1].n); err != nil {
			return nil, nil, err
		}
	}
	c.mem.Take(4 * int(n))
	index := make([]int32, n)
	runs := min(c.ends.Len(), c.all.Len())
	after := func(run int, row int64) bool {
		return row < signed(c.ends.Buffers()[1].Bytes(), run, c.kids[0].width)
	}
	run := sort.Search(runs, func(run int) bool { return after(run, from) })
	for i := range index {
		for run < runs && !after(run, from+int64(i)) {
			run++
		}
		if run == runs {
			return nil, nil, fmt.Errorf("%w (its runs end before its rows)", errIPC)
		}
		index[i] = int32(run)
	}
	return [][]byte{arrow.Int32Traits.CastToBytes(index)}, nil, nil
}
