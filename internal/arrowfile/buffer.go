package arrowfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"iterable-segment-export/internal/columnar"
)

// Codecs of compressed buffers, by CompressionType.
const (
	codecNone     = -1
	codecLz4Frame = 0
	codecZstd     = 1
)

// maxWindow is the memory, in bytes, that a zstd buffer may ask for beside its
// content; zstd's own command line takes no more unless told so. maxWindows is
// what all buffers may ask for that are open at the same time, since the columns
// of a record batch are read beside each other.
const (
	maxWindow  = 128 << 20
	maxWindows = 512 << 20
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

// read returns the next n bytes, in memory of their own.
func (s *stream) read(n int64) ([]byte, error) {
	if n < 0 || n > s.left {
		return nil, errShort
	}
	s.left -= n
	var p []byte
	for {
		part := n - int64(len(p))
		if !s.raw {
			part = min(part, max(chunkSize, int64(len(p)))) // what came true so far, once more
		}
		s.mem.Take(int(part))
		p = append(make([]byte, 0, int64(len(p))+part), p...)[:int64(len(p))+part]
		if _, err := io.ReadFull(s.r, p[int64(len(p))-part:]); err != nil || int64(len(p)) == n {
			return p, eofIsShort(err)
		}
	}
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

// openBuffer starts reading a buffer that lies at that place of the file. windows
// counts what the decompressors that are open take.
func openBuffer(src io.ReaderAt, at, size, codec int64, windows *atomic.Int64, mem *columnar.Budget) (*stream, error) {
	s := &stream{mem: mem, raw: true, left: size, r: io.NewSectionReader(src, at, size), close: func() {}}
	if codec == codecNone || size == 0 {
		return s, nil
	}
	var head [8]byte
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
	if s.raw = false; s.left == 0 {
		return s, nil
	}
	if err := s.decompress(codec, bufio.NewReaderSize(s.r, int(min(size, 32<<10))), windows); err != nil || s.left > chunkSize {
		return s, err
	}
	// A small buffer is decompressed at once, so that its window is free for others.
	defer s.close()
	p, err := s.read(s.left)
	return &stream{mem: mem, raw: true, left: int64(len(p)), r: bytes.NewReader(p), close: func() {}}, err
}

// decompress makes the stream read what is compressed in in.
func (s *stream) decompress(codec int64, in *bufio.Reader, windows *atomic.Int64) error {
	window, err := int64(0), error(nil)
	switch codec {
	case codecLz4Frame:
		window = lz4Window(in)
	case codecZstd:
		window, err = zstdWindow(in)
	default:
		err = fmt.Errorf("it is compressed in a way that this program does not know (number %d); write the file again with lz4, zstd or none", codec)
	}
	if err != nil {
		return err
	}
	if windows.Add(window) > maxWindows {
		panic(columnar.TooMuchMemory{What: "decompressing columns beside each other"})
	}
	s.close = func() { windows.Add(-window) }
	if codec == codecLz4Frame {
		r := lz4.NewReader(in)
		s.r, s.close = r, func() { r.Reset(nil); windows.Add(-window) } // which lets go of its blocks
		return nil
	}
	// Further frames in the same buffer may not ask for more.
	r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(max(window, 256<<10))))
	if err == nil {
		s.r, s.close = r, func() { r.Close(); windows.Add(-window) }
	}
	return err
}

// zstdWindow returns the window of the first frame.
func zstdWindow(in *bufio.Reader) (int64, error) {
	head, err := in.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return 0, err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return 0, fmt.Errorf("it is damaged: %w; write it again", err)
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	if window > maxWindow {
		return 0, fmt.Errorf("its zstd data needs a window of %d MB, and this program takes at most %d MB; write it again at a lower level of compression", window>>20, maxWindow>>20)
	}
	return int64(window), nil
}

// lz4Window returns the size of a frame's blocks twice, for data as it was and as
// it is compressed.
func lz4Window(in *bufio.Reader) int64 {
	const legacy = 8 << 20
	head, err := in.Peek(6)
	if err != nil || head[0] != 0x04 { // no frame, or one of the legacy kind
		return 2 * legacy
	}
	return 2 << (8 + 2*(head[5]>>4&7)) // 4 is 64 KB, 7 is 4 MB
}

// bits reads a bitmap in parts of any number of bits.
type bits struct {
	*stream
	carry byte // the last byte read
	used  int  // how many of its bits are done with; 0 means all
}

// next returns the next n bits, beginning with the first bit of the first byte.
func (b *bits) next(n int) ([]byte, error) {
	have := (8 - b.used) % 8
	more, err := b.read(int64(max(0, n-have)+7) / 8)
	if err != nil || n == 0 {
		return nil, err
	}
	if have == 0 {
		b.carry, b.used = more[len(more)-1], n%8
		return more, nil
	}
	all := append([]byte{b.carry}, more...)
	out := make([]byte, bitutil.BytesForBits(int64(n)))
	bitutil.CopyBitmap(all, b.used, n, out, 0)
	b.carry, b.used = all[len(all)-1], (b.used+n)%8
	return out, nil
}
