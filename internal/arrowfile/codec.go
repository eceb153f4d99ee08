package arrowfile

import (
	"bufio"
	"fmt"
	"io"
	mathbits "math/bits"
	"sync"

	"iterable-segment-export/internal/columnar"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxWindow is the memory, in bytes, that a zstd buffer may ask for beside its
// content; zstd's own command line takes no more unless told so. maxWindows is
// what all buffers may ask for that are open at the same time, since the columns
// of a record batch are read beside each other.
const (
	maxWindow  = 128 << 20
	maxWindows = 512 << 20
)

// codecs opens decompressors, and keeps them for the next buffer.
type codecs struct {
	mu      sync.Mutex
	zstd    map[int64][]*zstd.Decoder // not in use, by the size of their window
	lz4     []*lz4.Reader             // not in use
	windows int64                     // of all there are, in bytes
}

// open starts decompressing. The function takes the decompressor back.
func (c *codecs) open(codec int8, src io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(src, 32<<10)
	switch codec {
	case codecLz4Frame:
		r, done := c.openLz4(in)
		return r, done, nil
	case codecZstd:
		return c.openZstd(in)
	}
	return nil, nil, fmt.Errorf("it is compressed in a way that this program does not know (number %d); write the file again with lz4, zstd or none", codec)
}

func (c *codecs) openZstd(in *bufio.Reader) (io.Reader, func(), error) {
	window, err := zstdWindow(in)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var r *zstd.Decoder
	if free := c.zstd[window]; len(free) > 0 {
		r, c.zstd[window] = free[len(free)-1], free[:len(free)-1]
		err = r.Reset(in)
	} else {
		c.lend(window)
		// Further frames in the same buffer may not ask for more.
		r, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window)))
	}
	if err != nil {
		return nil, nil, err
	}
	return r, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.zstd == nil {
			c.zstd = map[int64][]*zstd.Decoder{}
		}
		c.zstd[window] = append(c.zstd[window], r)
	}, nil
}

func (c *codecs) openLz4(in *bufio.Reader) (io.Reader, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := lz4Window(in)
	c.lend(window)
	var r *lz4.Reader
	if n := len(c.lz4); n > 0 {
		r, c.lz4 = c.lz4[n-1], c.lz4[:n-1]
		r.Reset(in)
	} else {
		r = lz4.NewReader(in)
	}
	return r, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		r.Reset(nil) // lets go of its blocks
		c.lz4 = append(c.lz4, r)
		c.windows -= window
	}
}

// lend makes room for a window. Where there is none left it panics, as all do
// that would take too much memory.
func (c *codecs) lend(window int64) {
	if c.windows+window > maxWindows {
		c.discard()
	}
	if c.windows+window > maxWindows {
		panic(columnar.TooMuchMemory{What: "decompressing columns beside each other"})
	}
	c.windows += window
}

// discard closes the decompressors that are not in use.
func (c *codecs) discard() {
	for window, free := range c.zstd {
		for _, r := range free {
			r.Close()
			c.windows -= window
		}
	}
	clear(c.zstd)
}

func (c *codecs) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discard()
}

// zstdWindow gives the window of the first frame, rounded up to a power of two.
func zstdWindow(in *bufio.Reader) (int64, error) {
	const least = 256 << 10
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
	return max(least, int64(1)<<mathbits.Len64(max(window, 1)-1)), nil
}

// lz4Window gives the size of a frame's blocks twice, for data as it was and as
// it is compressed.
func lz4Window(in *bufio.Reader) int64 {
	const legacy = 8 << 20
	head, err := in.Peek(6)
	if err != nil || head[0] != 0x04 { // no frame, or one of the legacy kind
		return 2 * legacy
	}
	return 2 << (8 + 2*(head[5]>>4&7)) // 4 is 64 KB, 7 is 4 MB
}
