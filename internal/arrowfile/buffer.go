package arrowfile

import (
	"bufio"
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

// maxWindow is the maximum window of a zstd buffer in bytes, which is also the default of
// zstd's command line. maxWindows is the maximum of all open buffers together, since the
// columns of a record batch are read concurrently.
const (
	maxWindow  = 128 << 20
	maxWindows = 512 << 20
)

// buffer is one buffer of a record batch.
type buffer struct {
	src        *columnar.Source
	at, stored int64 // its offset and size in the file
	codec      int64
	windows    *atomic.Int64 // bytes of the windows of all open decompressors
	mem        *columnar.Budget

	size  int64     // decompressed; -1 until it is known
	raw   bool      // not compressed
	start int64     // offset of data in the buffer
	data  []byte    // the last part of a compressed buffer
	r     io.Reader // decompresses what follows data; nil if not open
	done  func()
}

var errShort = fmt.Errorf("%w (a buffer has fewer bytes than its rows need)", errIPC)

// chunkSize is the memory that is first allocated for decompressed data, since the size
// that a buffer claims may be false. A buffer of at most that size is decompressed as a
// whole, and its window is freed.
const chunkSize = 1 << 20

// part returns the bytes from one offset up to another. They must not be changed. A
// compressed buffer continues after the part before, and starts again for an earlier
// offset. So memory is needed only for the current rows' values, and values in the order
// of the rows, as writers store them, are decompressed once.
func (b *buffer) part(from, to int64) ([]byte, error) {
	if err := b.measure(); err != nil {
		return nil, err
	}
	if from < 0 || to < from || to > b.size {
		return nil, errShort
	}
	if b.raw {
		b.mem.Take(int(to - from))
		p := make([]byte, to-from)
		return p, b.src.ReadFull(p, b.at+from)
	}
	if from < b.start || b.r == nil && to > b.end() {
		if err := b.begin(); err != nil {
			return nil, err
		}
	}
	if skip := from - b.end(); skip > 0 {
		if _, err := io.CopyN(io.Discard, b.r, skip); err != nil {
			return nil, eofIsShort(err)
		}
		b.start, b.data = from, nil
	}
	if to > b.end() {
		b.start, b.data = from, b.data[from-b.start:]
		if err := b.more(to); err != nil {
			return nil, err
		}
	}
	return b.data[from-b.start : to-b.start], nil
}

func (b *buffer) end() int64 { return b.start + int64(len(b.data)) }

// more decompresses up to an offset, into new memory.
func (b *buffer) more(to int64) error {
	b.mem.Take(len(b.data))
	for b.end() < to {
		have := len(b.data)
		part := int(min(to-b.end(), int64(max(chunkSize, have)))) // at most doubles
		b.mem.Take(part)
		b.data = append(make([]byte, 0, have+part), b.data...)[:have+part]
		if _, err := io.ReadFull(b.r, b.data[have:]); err != nil {
			return eofIsShort(err)
		}
	}
	return nil
}

func eofIsShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}

// measure sets the decompressed size of the buffer.
func (b *buffer) measure() error {
	if b.size >= 0 {
		return nil
	}
	const headLen = 8
	if b.raw, b.size = true, b.stored; b.codec == codecNone || b.stored == 0 {
		return nil
	}
	var head [headLen]byte
	if b.stored < headLen {
		return errShort
	}
	if err := b.src.ReadFull(head[:], b.at); err != nil {
		return err
	}
	b.at, b.stored = b.at+headLen, b.stored-headLen
	switch b.size = int64(binary.LittleEndian.Uint64(head[:])); {
	case b.size == -1: // not compressed, since it would not have got smaller
		b.size = b.stored
	case b.size < 0:
		return errIPC
	default:
		b.raw = false
	}
	return nil
}

// begin starts decompressing at the beginning.
func (b *buffer) begin() error {
	b.close()
	b.start, b.data = 0, nil
	in := bufio.NewReaderSize(io.NewSectionReader(b.src, b.at, b.stored), int(max(zstd.HeaderMaxSize, min(b.stored, 32<<10))))
	window, err := int64(0), error(nil)
	switch b.codec {
	case codecLz4Frame:
		window = lz4Window(in)
	case codecZstd:
		window, err = zstdWindow(in)
	default:
		err = fmt.Errorf("its compression (number %d) is unknown; write the file again with lz4, with zstd or uncompressed", b.codec)
	}
	if err != nil {
		return err
	}
	if b.windows.Add(window) > maxWindows {
		panic(columnar.TooMuchMemory{What: "decompressing columns beside each other", Limit: maxWindows})
	}
	if b.codec == codecLz4Frame {
		r := lz4.NewReader(in)
		b.r, b.done = r, func() { r.Reset(nil); b.windows.Add(-window) } // Reset frees its blocks
	} else {
		// Further frames in the same buffer may not use a larger window.
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(max(window, 256<<10))))
		if err != nil {
			return err
		}
		b.r, b.done = r, func() { r.Close(); b.windows.Add(-window) }
	}
	if b.size > chunkSize {
		return nil
	}
	defer b.close()
	return b.more(b.size)
}

// close frees the decompressor.
func (b *buffer) close() {
	if b.r != nil {
		b.r = nil
		b.done()
	}
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

// lz4Window returns twice the size of a frame's blocks: for data before and after
// decompression.
func lz4Window(in *bufio.Reader) int64 {
	const legacy = 8 << 20
	head, err := in.Peek(6)
	if err != nil || head[0] != 0x04 { // not a frame, or a legacy one
		return 2 * legacy
	}
	return 2 << (8 + 2*(head[5]>>4&7)) // 4 is 64 KB, 7 is 4 MB
}

// bits returns a copy of n bits.
func (b *buffer) bits(from, n int64) ([]byte, error) {
	p, err := b.part(from/8, bitutil.BytesForBits(from+n))
	if err != nil {
		return nil, err
	}
	out := make([]byte, bitutil.BytesForBits(n))
	bitutil.CopyBitmap(p, int(from%8), int(n), out, 0)
	return out, nil
}
