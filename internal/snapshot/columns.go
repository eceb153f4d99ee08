package snapshot

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// columns are a record batch, checked.
type columns struct {
	keys   []byte
	fields []uint64
	email  text
	userID text
}

// text is a column of strings, a null being an empty one.
type text struct {
	offsets []int32
	bytes   []byte
}

func (t text) value(i int) []byte { return t.bytes[t.offsets[i]:t.offsets[i+1]:t.offsets[i+1]] }

func columnsOf(rec arrow.Record, rows int) (c columns, err error) {
	if rec.NumRows() != int64(rows) {
		return c, fmt.Errorf("%d rows instead of %d", rec.NumRows(), rows)
	}
	if rec.Column(0).NullN() != 0 || rec.Column(1).NullN() != 0 {
		return c, errors.New("a member has no key")
	}
	keys := rec.Column(0).Data().Buffers()[1]
	if keys == nil || keys.Len() < rows*16 {
		return c, errors.New("there are too few keys")
	}
	c.keys = keys.Bytes()[:rows*16]
	c.fields = rec.Column(1).(*array.Uint64).Uint64Values()
	if len(c.fields) != rows {
		return c, errors.New("there are too few hashes")
	}
	if c.email, err = textOf(rec.Column(2), rows); err != nil {
		return c, err
	}
	c.userID, err = textOf(rec.Column(3), rows)
	return c, err
}

func textOf(col arrow.Array, rows int) (t text, err error) {
	buffers := col.Data().Buffers()
	if buffers[1] == nil || buffers[1].Len() < (rows+1)*4 {
		return t, errors.New("there are too few offsets")
	}
	t.offsets = arrow.Int32Traits.CastFromBytes(buffers[1].Bytes())[:rows+1]
	if buffers[2] != nil {
		t.bytes = buffers[2].Bytes()
	}
	last := int32(0)
	for _, o := range t.offsets {
		if o < last {
			return t, errors.New("offsets go backwards")
		}
		last = o
	}
	if int(last) > len(t.bytes) {
		return t, errors.New("offsets lead outside")
	}
	return t, nil
}

// limitAllocator panics if decoding one batch needs more than twice maxBatch bytes: the body
// and its columns.
type limitAllocator struct {
	memory.GoAllocator
	used int64
}

func (a *limitAllocator) take(n int) {
	if n < 0 || int64(n) > 2*maxBatch-a.used {
		panic(fmt.Errorf("decoding takes more than %d bytes", 2*maxBatch))
	}
	a.used += int64(n)
}

// Allocate implements memory.Allocator.
func (a *limitAllocator) Allocate(size int) []byte {
	a.take(size)
	return a.GoAllocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (a *limitAllocator) Reallocate(size int, b []byte) []byte {
	a.take(size)
	return a.GoAllocator.Reallocate(size, b)
}

// recovered turns a panic in Arrow into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%v", p)
	}
}
