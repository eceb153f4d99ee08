package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

const (
	// maxToc bounds the table of contents and the footer, in bytes each. A batch
	// takes 40 in one and 24 in the other: there is room for 6 billion members.
	maxToc = 4 << 20
	// maxBatch bounds the bytes of a record batch: somewhat above the 34 MB that
	// Writer puts into one at most.
	maxBatch = 64 << 20
	// maxMemory bounds the memory for decoding a batch, in bytes: its body and its columns.
	maxMemory = 2 * maxBatch
	// fileTail is what ends an Arrow file: the footer's length in 4 bytes, and
	// Arrow's magic.
	fileTail = 4 + 6
)

// Snapshot is an open snapshot. One goroutine at a time may read it.
type Snapshot struct {
	r       io.ReaderAt
	header  Header
	blocks  []block
	changed bool
	buf     []byte
	memory  *columnar.Budget // for one batch
}

// Open reads a snapshot's header and compares it with the header that the run expects:
// Export, Segment, Connection, ListID and Mapping.
//
// ErrCorrupt, ErrForeign and ErrListReplaced mean that there is nothing to compare the
// segment with: the run sends all profiles and removes none. Other errors are the storage's,
// and a retry may succeed. A changed mapping is not an error: the members are still known,
// and a Differ sends all profiles again and finds the vanished ones (see MappingChanged).
func Open(r io.ReaderAt, size int64, expect Header) (*Snapshot, error) {
	s, err := OpenAny(r, size)
	if err != nil {
		return nil, err
	}
	if err := s.header.check(expect); err != nil {
		return nil, fmt.Errorf("open the snapshot: %w", err)
	}
	s.changed = s.header.Mapping != expect.Mapping
	return s, nil
}

// OpenAny opens a snapshot without comparing its header with anything.
func OpenAny(r io.ReaderAt, size int64) (*Snapshot, error) {
	s := &Snapshot{r: r, memory: columnar.NewBudget(maxMemory)}
	if err := s.open(size); err != nil {
		return nil, fmt.Errorf("open the snapshot: %w", err)
	}
	return s, nil
}

// ReadHeader returns the header of a snapshot, without comparing it with anything.
func ReadHeader(r io.ReaderAt, size int64) (Header, error) {
	s, err := OpenAny(r, size)
	if err != nil {
		return Header{}, err
	}
	return s.header, nil
}

// Header returns the snapshot's header.
func (s *Snapshot) Header() Header { return s.header }

// Rows returns the number of members.
func (s *Snapshot) Rows() int64 { return s.header.Rows }

// MappingChanged reports whether the members were sent with another mapping than the run's,
// so that the hashes of their fields are useless.
func (s *Snapshot) MappingChanged() bool { return s.changed }

// bytes returns the size of the record batches in the file.
func (s *Snapshot) bytes() (n int64) {
	for _, b := range s.blocks {
		n += b.length
	}
	return n
}

func (s *Snapshot) open(size int64) error {
	end, err := s.read(size-fileTail, fileTail, size)
	if err != nil {
		return err
	}
	footer := int64(binary.LittleEndian.Uint32(end)) + fileTail
	if !bytes.Equal(end[4:], ipc.Magic) || footer > maxToc {
		return fmt.Errorf("%w: it has no footer, as if it were cut short", ErrCorrupt)
	}
	tail, err := s.read(size-footer-int64(tocTail), int64(tocTail), size)
	if err != nil {
		return err
	}
	if string(tail[24:]) != tocMagic {
		return fmt.Errorf("%w: it has no table of contents", ErrCorrupt)
	}
	header, list := binary.LittleEndian.Uint64(tail), binary.LittleEndian.Uint64(tail[8:])
	if header > maxToc || list > maxToc || list%blockSize != 0 {
		return fmt.Errorf("%w: its table of contents is too long", ErrCorrupt)
	}
	toc := int64(header) + int64(list) + int64(tocTail)
	both, err := s.read(size-footer-toc, toc+footer, size)
	if err != nil {
		return err
	}
	s.header, s.blocks, err = unpackToc(both[:toc], both[toc:], size-footer-toc)
	return err
}

// read returns bytes of the file, valid until the next read.
func (s *Snapshot) read(offset, length, size int64) ([]byte, error) {
	if offset < 0 || offset+length > size {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrCorrupt, size)
	}
	if int64(cap(s.buf)) < length {
		s.buf = make([]byte, length)
	}
	buf := s.buf[:length]
	n, err := s.r.ReadAt(buf, offset)
	switch {
	case n == len(buf):
		return buf, nil
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it ends too early", ErrCorrupt)
	}
	return nil, err
}

// Verify compares all checksums without decoding.
func (s *Snapshot) Verify(ctx context.Context) error {
	for k := range s.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := s.fetch(k); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads a block and compares it with its checksum.
func (s *Snapshot) fetch(k int) ([]byte, error) {
	b := s.blocks[k]
	buf, err := s.read(b.offset, b.length, b.offset+b.length)
	if err == nil && xxh3.Hash(buf) != b.sum {
		err = fmt.Errorf("%w: its bytes differ from their checksum", ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("read batch %d of the snapshot: %w", k, err)
	}
	return buf, nil
}

// Each calls f with every member, in ascending order of key.
func (s *Snapshot) Each(ctx context.Context, f func(*Member) error) error {
	c := s.cursor(ctx)
	for c.next() {
		if err := f(&c.member); err != nil {
			return err
		}
	}
	return c.err
}

// batch reads and decodes a record batch. The result stays valid.
func (s *Snapshot) batch(k int) (columns, error) {
	buf, err := s.fetch(k)
	if err != nil {
		return columns{}, err
	}
	s.memory.Reset()
	c, err := decode(buf, k == 0, int(s.blocks[k].rows), s.memory)
	if err != nil {
		return c, fmt.Errorf("read batch %d of the snapshot: %w: %v", k, ErrCorrupt, err)
	}
	if Key(c.keys[:16]) != s.blocks[k].first {
		return c, fmt.Errorf("read batch %d of the snapshot: %w: it starts with another key", k, ErrCorrupt)
	}
	return c, nil
}

// schemaMessage is the start of an Arrow stream with the columns of a snapshot.
var schemaMessage = sync.OnceValue(func() []byte {
	const endOfStream = 8 // bytes
	var b bytes.Buffer
	if err := ipc.NewWriter(&b, ipc.WithSchema(schemas.SnapshotSchema)).Close(); err != nil {
		panic(fmt.Sprintf("encode the snapshot's schema: %v", err)) // a buffer never fails
	}
	return b.Bytes()[:b.Len()-endOfStream]
})

// decode reads a block's record batch. Arrow gets the schema from this program,
// never from the file.
func decode(b []byte, first bool, rows int, mem memory.Allocator) (c columns, err error) {
	defer columnar.Guard(&err)
	if first {
		const magic = 8 // bytes, with their padding
		b = b[min(magic, len(b)):]
		n, err := messageSize(b)
		if err != nil {
			return c, err
		}
		b = b[n:]
	}
	if _, err := messageSize(b); err != nil {
		return c, err
	}
	r, err := ipc.NewReader(io.MultiReader(bytes.NewReader(schemaMessage()), bytes.NewReader(b)), ipc.WithAllocator(mem))
	if err != nil {
		return c, err
	}
	defer r.Release()
	if !r.Next() {
		return c, fmt.Errorf("there is no record batch: %v", r.Err())
	}
	return columnsOf(r.Record(), rows)
}

// messageSize returns the length of the message that starts an IPC stream, its body
// left out.
func messageSize(b []byte) (int, error) {
	const prefix = 8 // bytes: a marker and the length
	if len(b) < prefix || binary.LittleEndian.Uint32(b) != 0xffffffff {
		return 0, errors.New("there is no message")
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-prefix) {
		return 0, errors.New("a message is longer than its block")
	}
	return int(n) + prefix, nil
}
