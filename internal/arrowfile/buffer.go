package arrowfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"iterable-segment-export/internal/columnar"

	"github.com/apache/arrow/go/v15/arrow/bitutil"
)

// Codecs of compressed buffers, by CompressionType.
const (
	codecLz4Frame = 0
	codecZstd     = 1
)

// stream reads one buffer of a record batch from its beginning to its end.
type stream struct {
	r     io.Reader
	left  int64 // bytes, once decompressed
	raw   bool  // not compressed, so that left is known to be in the file
	mem   *columnar.Budget
	close func()
}

var errShort = fmt.Errorf("%w (a buffer has fewer bytes than its rows need)", errIPC)

// chunkSize is how much memory is taken at a time for data that is compressed:
// what a buffer claims is believed only as far as it comes true.
const chunkSize = 1 << 20

// read gives the next n bytes, in memory of their own.
func (s *stream) read(n int64) ([]byte, error) {
	if n < 0 || n > s.left {
		return nil, errShort
	}
	s.left -= n
	if s.raw || n <= chunkSize {
		s.mem.Take(int(n))
		p := make([]byte, n)
		_, err := io.ReadFull(s.r, p)
		return p, eofIsShort(err)
	}
	var p []byte
	for int64(len(p)) < n {
		part := int(min(n-int64(len(p)), max(chunkSize, int64(len(p))))) // what came true so far, once more
		s.mem.Take(part)
		p = append(make([]byte, 0, len(p)+part), p...)[:len(p)+part]
		if _, err := io.ReadFull(s.r, p[len(p)-part:]); err != nil {
			return nil, eofIsShort(err)
		}
	}
	return p, nil
}

// skip passes over n bytes.
func (s *stream) skip(n int64) error {
	if n < 0 || n > s.left {
		return errShort
	}
	s.left -= n
	_, err := io.CopyN(io.Discard, s.r, n)
	return eofIsShort(err)
}

func eofIsShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}

// openBuffer starts reading a buffer that lies at that place of the file.
func openBuffer(src io.ReaderAt, at, size int64, codec int8, c *codecs, mem *columnar.Budget) (*stream, error) {
	s := &stream{mem: mem, raw: true, left: size, r: io.NewSectionReader(src, at, size), close: func() {}}
	if codec < 0 || size == 0 {
		return s, nil
	}
	var head [8]byte
	if size < int64(len(head)) {
		return nil, errShort
	}
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return nil, eofIsShort(err)
	}
	s.left = int64(binary.LittleEndian.Uint64(head[:]))
	if s.left == -1 { // this buffer did not get smaller, and was left as it was
		s.left = size - int64(len(head))
		return s, nil
	}
	if s.left < 0 {
		return nil, errIPC
	}
	s.raw = false
	r, done, err := c.open(codec, s.r)
	if err != nil {
		return nil, err
	}
	s.r, s.close = r, done
	if s.left > chunkSize {
		return s, nil
	}
	// A small buffer is decompressed at once, so that its decompressor is free
	// for the next one.
	defer done()
	s.close = func() {}
	n := s.left
	p, err := s.read(n)
	if err != nil {
		return nil, err
	}
	s.r, s.left, s.raw = bytes.NewReader(p), n, true
	return s, nil
}

// bits reads a bitmap in parts of any number of bits.
type bits struct {
	s     *stream
	carry byte // the last byte read
	used  int  // how many of its bits are done with; 0 means all
}

// read gives the next n bits, beginning with the first bit of the first byte.
func (b *bits) read(n int) ([]byte, error) {
	have := 0
	if b.used > 0 {
		have = 8 - b.used
	}
	if n <= have {
		out := []byte{b.carry >> b.used}
		b.used = (b.used + n) % 8
		return out, nil
	}
	more, err := b.s.read(int64(n-have+7) / 8)
	if err != nil {
		return nil, err
	}
	out := more
	if have > 0 {
		all := append([]byte{b.carry}, more...)
		out = make([]byte, bitutil.BytesForBits(int64(n)))
		bitutil.CopyBitmap(all, b.used, n, out, 0)
	}
	b.carry, b.used = more[len(more)-1], (n-have)%8
	return out, nil
}
