package snapshot

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts changes by key and then by kind, in bounded memory: what doesn't fit is
// sorted and written to a temporary file, a run, and the runs are merged when they are read.
type sorter struct {
	dir    string // of the temporary files; "" is the system's
	memory int
	refs   []ref
	text   []byte // each change's addresses and user IDs
	runs   []*os.File
	used   bool
}

// ref is a change in memory.
type ref struct {
	hi, lo, fields uint64
	at             uint64 // where its text starts, and in the lowest bits its kind
	email, userID  uint32 // lengths in bytes
}

const refSize = 40 // bytes

func newSorter(dir string, memory int) sorter {
	if memory <= 0 {
		memory = defaultSortBytes
	}
	return sorter{dir: dir, memory: memory}
}

func (s *sorter) add(m *Member, kind uint64) error {
	if s.used {
		return errUsed
	}
	if len(s.refs) > 0 && (len(s.refs)+1)*refSize+len(s.text)+len(m.Email)+len(m.UserID) > s.memory {
		if err := s.spill(); err != nil {
			return fmt.Errorf("put sorted changes aside: %w", err)
		}
	}
	hi, lo := m.Key.halves()
	s.refs = append(s.refs, ref{
		hi: hi, lo: lo, fields: m.Fields, at: uint64(len(s.text))<<changeBits | kind,
		email: uint32(len(m.Email)), userID: uint32(len(m.UserID)),
	})
	s.text = append(append(s.text, m.Email...), m.UserID...)
	return nil
}

func (s *sorter) sort() {
	slices.SortFunc(s.refs, func(a, b ref) int {
		switch {
		case a.hi < b.hi:
			return -1
		case a.hi > b.hi:
			return 1
		case a.lo < b.lo:
			return -1
		case a.lo > b.lo:
			return 1
		}
		return cmp.Compare(a.at&(1<<changeBits-1), b.at&(1<<changeBits-1))
	})
}

// member fills in what a ref stands for.
func (s *sorter) member(r *ref, m *Member) (kind uint64) {
	at := r.at >> changeBits
	end := at + uint64(r.email)
	*m = Member{
		Key: keyOf(r.hi, r.lo), Fields: r.fields,
		Email: s.text[at:end:end], UserID: s.text[end : end+uint64(r.userID)],
	}
	return r.at & (1<<changeBits - 1)
}

// spill writes a run.
func (s *sorter) spill() error {
	s.sort()
	f, err := createTemp(s.dir)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, spillBuffer)
	var head [binary.MaxVarintLen64]byte
	if _, err := w.Write(head[:binary.PutUvarint(head[:], uint64(len(s.refs)))]); err != nil {
		return err
	}
	var m Member
	var buf []byte
	for i := range s.refs {
		kind := s.member(&s.refs[i], &m)
		buf = appendMember(append(buf[:0], byte(kind)), &m)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	s.refs, s.text = s.refs[:0], s.text[:0]
	return w.Flush()
}

// sorted returns the changes in order. No more can be added.
func (s *sorter) sorted() (*merger, error) {
	if s.used {
		return nil, errUsed
	}
	s.used = true
	s.sort()
	m := &merger{}
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read changes put aside: %w", err)
		}
		r := &runReader{r: bufio.NewReaderSize(f, runBuffer)}
		m.runs = append(m.runs, r)
		var err error
		if r.left, err = binary.ReadUvarint(r.r); err != nil {
			return nil, short(err)
		}
	}
	m.runs = append(m.runs, &runReader{mem: s})
	return m, m.start()
}

func (s *sorter) close() (err error) {
	for _, f := range s.runs {
		err = errors.Join(err, closeTemp(f))
	}
	s.refs, s.text, s.runs, s.used = nil, nil, nil, true
	return err
}

// Buffers of one run, in bytes: 100 million profiles make about 150 runs.
const (
	spillBuffer = 1 << 20
	runBuffer   = 128 << 10
)

// runReader reads one run, from a file or from the sorter's memory.
type runReader struct {
	r    *bufio.Reader
	left uint64
	mem  *sorter
	next int

	member Member
	kind   uint64
	buf    []byte
}

// read goes to the run's next change.
func (r *runReader) read() (ok bool, err error) {
	if r.mem != nil {
		if r.next >= len(r.mem.refs) {
			return false, nil
		}
		r.kind = r.mem.member(&r.mem.refs[r.next], &r.member)
		r.next++
		return true, nil
	}
	if r.left == 0 {
		return false, nil
	}
	r.left--
	kind, err := r.r.ReadByte()
	if err != nil {
		return false, short(err)
	}
	r.kind = uint64(kind)
	r.buf, err = readMember(r.r, &r.member, r.buf)
	return err == nil, err
}

// merger reads several runs as one. It is a heap of those that have a change
// left.
type merger struct {
	runs   []*runReader
	heap   []*runReader
	member Member
	kind   uint64
}

func (m *merger) start() error {
	for _, r := range m.runs {
		ok, err := r.read()
		if err != nil {
			return err
		}
		if ok {
			m.heap = append(m.heap, r)
		}
	}
	heap.Init(m)
	m.show()
	return nil
}

func (m *merger) more() bool { return len(m.heap) > 0 }

func (m *merger) show() {
	if m.more() {
		m.member, m.kind = m.heap[0].member, m.heap[0].kind
	}
}

// next moves to the next change and invalidates member.
func (m *merger) next() error {
	ok, err := m.heap[0].read()
	if err != nil {
		return fmt.Errorf("read changes put aside: %w", err)
	}
	switch {
	case !ok:
		heap.Pop(m)
	case len(m.heap) > 1:
		heap.Fix(m, 0)
	}
	m.show()
	return nil
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (m *merger) Len() int { return len(m.heap) }
func (m *merger) Less(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	if c := a.member.Key.compare(b.member.Key); c != 0 {
		return c < 0
	}
	return a.kind < b.kind
}
func (m *merger) Swap(i, j int) { m.heap[i], m.heap[j] = m.heap[j], m.heap[i] }

// Push adds a run.
func (m *merger) Push(x any) { m.heap = append(m.heap, x.(*runReader)) }

// Pop removes the last run.
func (m *merger) Pop() any {
	last := m.heap[len(m.heap)-1]
	m.heap = m.heap[:len(m.heap)-1]
	return last
}
