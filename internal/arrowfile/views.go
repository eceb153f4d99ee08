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

// span gives parts of a buffer in any order. What is near the part before is read
// on from there; before that, the buffer is read from its beginning again. So
// memory is taken only for what the rows at hand refer to, and texts in the order
// of the rows, as writers leave them, are read once.
type span struct {
	open  func() (*stream, error)
	s     *stream
	start int64 // of data in the buffer
	data  []byte
	used  bool // since the last rest
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
		s.start, s.data = 0, nil
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
		kept := s.data[from-s.start:]
		if len(kept) > 0 {
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

// viewLoader loads texts and bytes that are stored as views: short ones in place,
// others as a place in one of many buffers. They are loaded as ordinary ones.
type viewLoader struct {
	base
	buffers []span
	mem     *columnar.Budget
}

// Parts of a view, in bytes: its length, then the text or, beyond inlined bytes,
// a prefix, the number of its buffer and its place there.
const (
	viewBytes   = 16
	viewInlined = 12
)

func (l *viewLoader) close() {
	l.base.close()
	for i := range l.buffers {
		l.buffers[i].close()
	}
}

func (l *viewLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	views, err := l.streams[0].read(int64(n) * viewBytes)
	if err != nil {
		return nil, err
	}
	var total int64
	bounds := map[uint32][2]int64{} // by buffer, what is needed of it
	err = eachView(views, bitmap, func(_ int, v []byte, length int64) error {
		if total += length; length <= viewInlined {
			return nil
		}
		buffer, at := binary.LittleEndian.Uint32(v[8:]), int64(int32(binary.LittleEndian.Uint32(v[12:])))
		if int64(buffer) >= int64(len(l.buffers)) || at < 0 {
			return errIPC
		}
		b, ok := bounds[buffer]
		if !ok {
			b = [2]int64{at, at + length}
		}
		bounds[buffer] = [2]int64{min(b[0], at), max(b[1], at+length)}
		return nil
	})
	if err != nil || total > math.MaxInt32 {
		return nil, errIPC
	}
	l.mem.Take(int(total) + 4*(n+1))
	parts := make(map[uint32][]byte, len(bounds))
	for i, b := range bounds {
		if parts[i], err = l.buffers[i].part(b[0], b[1]); err != nil {
			return nil, err
		}
	}
	l.rest()
	ends, out := make([]int32, n+1), make([]byte, 0, total)
	last := 0
	err = eachView(views, bitmap, func(i int, v []byte, length int64) error {
		for ; last < i; last++ {
			ends[last+1] = int32(len(out))
		}
		if length <= viewInlined {
			out = append(out, v[4:4+length]...)
			return nil
		}
		buffer, at := binary.LittleEndian.Uint32(v[8:]), int64(binary.LittleEndian.Uint32(v[12:]))
		at -= bounds[buffer][0]
		out = append(out, parts[buffer][at:at+length]...)
		return nil
	})
	for ; last < n; last++ {
		ends[last+1] = int32(len(out))
	}
	buffers := []*memory.Buffer{bitmap, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)), memory.NewBufferBytes(out)}
	return array.NewData(l.dt, n, buffers, nil, nulls, 0), err
}

// eachView calls do with each view that is not null.
func eachView(views []byte, bitmap *memory.Buffer, do func(i int, v []byte, length int64) error) error {
	for i := 0; i*viewBytes < len(views); i++ {
		if bitmap != nil && bitutil.BitIsNotSet(bitmap.Bytes(), i) {
			continue
		}
		v := views[i*viewBytes : (i+1)*viewBytes]
		length := int64(int32(binary.LittleEndian.Uint32(v)))
		if length < 0 {
			return errIPC
		}
		if err := do(i, v, length); err != nil {
			return err
		}
	}
	return nil
}

// rest closes the buffers that were not needed this time.
func (l *viewLoader) rest() {
	for i := range l.buffers {
		if !l.buffers[i].used {
			l.buffers[i].close()
		}
		l.buffers[i].used = false
	}
}

// listViewLoader loads lists whose places in their items are in no order. All
// items are loaded with the first rows.
type listViewLoader struct {
	base
	width int64
	items loader
	all   arrow.ArrayData
}

func (l *listViewLoader) close() {
	l.base.close()
	l.items.close()
	if l.all != nil {
		l.all.Release()
	}
}

func (l *listViewLoader) load(n int) (arrow.ArrayData, error) {
	bitmap, nulls, err := l.begin(n)
	if err != nil {
		return nil, err
	}
	if l.all == nil {
		if l.all, err = loadAll(l.items); err != nil {
			return nil, err
		}
	}
	var places [2][]byte
	for i := range places {
		if places[i], err = l.streams[i].read(int64(n) * l.width); err != nil {
			return nil, err
		}
	}
	for i := range n {
		at, size := wide(places[0], i, l.width), wide(places[1], i, l.width)
		if bitmap != nil && bitutil.BitIsNotSet(bitmap.Bytes(), i) {
			for k := range l.width {
				places[0][int64(i)*l.width+k], places[1][int64(i)*l.width+k] = 0, 0
			}
		} else if at < 0 || size < 0 || at > int64(l.all.Len())-size {
			return nil, errIPC
		}
	}
	buffers := []*memory.Buffer{bitmap, memory.NewBufferBytes(places[0]), memory.NewBufferBytes(places[1])}
	return array.NewData(l.dt, n, buffers, []arrow.ArrayData{l.all}, nulls, 0), nil
}

// wide returns the number of so many bytes at an index.
func wide(p []byte, i int, width int64) int64 {
	switch width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(p[2*i:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(p[4*i:])))
	}
	return int64(binary.LittleEndian.Uint64(p[8*i:]))
}

func loadAll(l loader) (arrow.ArrayData, error) {
	if n := l.length(); n < 0 || n > math.MaxInt32 {
		return nil, errIPC
	}
	return l.load(int(l.length()))
}

// runLoader loads run-end-encoded columns as dictionaries: the number of its run
// is each row's index. All runs are loaded with the first rows.
type runLoader struct {
	base
	ends, values loader
	starts       []int64 // of the runs after the first, and the end of the last
	all          arrow.ArrayData
	run          int
}

func (l *runLoader) close() {
	l.ends.close()
	l.values.close()
	if l.all != nil {
		l.all.Release()
	}
}

func (l *runLoader) load(n int) (arrow.ArrayData, error) {
	from := l.done
	if _, _, err := l.begin(n); err != nil {
		return nil, err
	}
	if l.all == nil {
		if err := l.loadRuns(); err != nil {
			return nil, err
		}
	}
	index := make([]int32, n)
	for i := range index {
		for l.run < len(l.starts) && from+int64(i) >= l.starts[l.run] {
			l.run++
		}
		if l.run >= len(l.starts) || l.run >= l.all.Len() {
			return nil, fmt.Errorf("%w (its runs end before its rows)", errIPC)
		}
		index[i] = int32(l.run)
	}
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(index))}
	return array.NewDataWithDictionary(l.dt, n, buffers, 0, 0, l.all.(*array.Data)), nil
}

func (l *runLoader) loadRuns() error {
	ends, err := loadAll(l.ends)
	if err != nil {
		return err
	}
	defer ends.Release()
	width := int64(ends.DataType().(arrow.FixedWidthDataType).Bytes())
	last := int64(0)
	for i := range ends.Len() {
		end := wide(ends.Buffers()[1].Bytes(), i, width)
		if end <= last {
			return errIPC
		}
		l.starts, last = append(l.starts, end), end
	}
	l.all, err = loadAll(l.values)
	return err
}

// uuidLoader loads UUIDs as text.
type uuidLoader struct {
	fixedLoader
	dt  arrow.DataType
	mem *columnar.Budget
}

func (l *uuidLoader) load(n int) (arrow.ArrayData, error) {
	raw, err := l.fixedLoader.load(n)
	if err != nil {
		return nil, err
	}
	defer raw.Release()
	const width = 36
	l.mem.Take(n * (width + 4))
	ends, out := make([]int32, n+1), make([]byte, 0, n*width)
	values := raw.Buffers()[1].Bytes()
	for i := range n {
		out = columnar.AppendUUID(out, values[16*i:16*i+16])
		ends[i+1] = int32(len(out))
	}
	buffers := []*memory.Buffer{raw.Buffers()[0], memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(ends)), memory.NewBufferBytes(out)}
	return array.NewData(l.dt, n, buffers, nil, raw.NullN(), 0), nil
}
