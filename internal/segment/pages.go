package segment

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Bounds on one page, in bytes, once decompressed. Writers make pages of about
// 1 MB, and dictionaries of 1 or 2.
const (
	maxPage       = 256 << 20
	maxDictionary = 64 << 20
	// maxPages bounds the largest pages of all columns of a row group together:
	// one page of each is held at a time.
	maxPages = 1 << 30
	// maxPageHeader is Arrow's own bound.
	maxPageHeader = 16 << 20
)

// pageHeader is what matters of Parquet's PageHeader.
type pageHeader struct {
	kind                     int64 // 0 data, 1 index, 2 dictionary, 3 data version 2
	uncompressed, compressed int64
	values                   int64
	encoding                 int64
	defEncoding, repEncoding int64 // of a page of version 1
	defLevels, repLevels     int64
	plain                    bool // a page of version 2 that says it is not compressed
}

const (
	pageData       = 0
	pageDictionary = 2
	pageDataV2     = 3
)

// parsePageHeader reads a header from the start of data and says how long it is.
func parsePageHeader(data []byte) (h pageHeader, length int, err error) {
	s := thriftScan{data: data}
	s.onField = func(path []int16, v int64) {
		switch {
		case len(path) == 1 && path[0] == 1:
			h.kind = v
		case len(path) == 1 && path[0] == 2:
			h.uncompressed = v
		case len(path) == 1 && path[0] == 3:
			h.compressed = v
		case len(path) != 2:
		// DataPageHeader is field 5, DictionaryPageHeader 7, DataPageHeaderV2 8.
		case (path[0] == 5 || path[0] == 7 || path[0] == 8) && path[1] == 1:
			h.values = v
		case (path[0] == 5 || path[0] == 7) && path[1] == 2, path[0] == 8 && path[1] == 4:
			h.encoding = v
		case path[0] == 5 && path[1] == 3:
			h.defEncoding = v
		case path[0] == 5 && path[1] == 4:
			h.repEncoding = v
		case path[0] == 8 && path[1] == 5:
			h.defLevels = v
		case path[0] == 8 && path[1] == 6:
			h.repLevels = v
		case path[0] == 8 && path[1] == 7:
			h.plain = v == 0
		}
	}
	err = s.structure()
	return h, s.pos, err
}

// chunk is a column chunk as the footer describes it.
type chunk struct {
	column        string
	start, length int64
	values        int64
	codec         compress.Compression
	physical      parquet.Type
	maxRep        int16
	maxDef        int16
}

// pageWalk goes through the headers of a column chunk's pages, ahead of Arrow.
// Arrow takes memory for the sizes in them unseen, and reads a chunk with too few
// values, or with an encoding that it does not know, as one that is shorter.
type pageWalk struct {
	chunk
	src *source

	mu     sync.Mutex
	buf    []byte
	pos    int64 // of the next page
	seen   int64 // values of the pages before it
	failed error

	page, dictionary int64 // the largest so far
	entries          int64 // of the dictionary
	pages            *openPages
}

// openPages is what the columns of a row group have in common.
type openPages struct {
	bytes atomic.Int64 // of the largest page of each
	mu    sync.Mutex   // one page is unpacked at a time
}

func newPageWalk(c chunk, src *source, pages *openPages) *pageWalk {
	return &pageWalk{chunk: c, src: src, pos: c.start, buf: make([]byte, 512), pages: pages}
}

// hold counts a page that is about to be read.
func (w *pageWalk) hold(h pageHeader) error {
	largest := &w.page
	if h.kind == pageDictionary {
		largest = &w.dictionary
		w.entries = h.values
	}
	more := max(0, h.uncompressed-*largest)
	*largest += more
	if w.pages.bytes.Add(more) > maxPages {
		return columnError(schemas.ErrorSegmentUnreadable, w.column, "the pages of all mapped columns take more than %d MB beside each other; write the file again with pages of about 1 MB", maxPages>>20)
	}
	return nil
}

func (w *pageWalk) end() int64 { return w.start + w.length }

// until checks every page that begins before off.
func (w *pageWalk) until(off int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.failed == nil && w.pos < min(off, w.end()) && w.seen < w.values {
		w.failed = w.step()
	}
	if w.failed == nil && w.seen != w.values && (w.pos >= w.end() || w.seen > w.values) {
		w.failed = w.damaged("the footer says that it has %d values, its pages have %d", w.values, w.seen)
	}
	return w.failed
}

// step checks one page.
func (w *pageWalk) step() error {
	for {
		n := min(int64(len(w.buf)), w.end()-w.pos)
		if err := w.src.readFull(w.buf[:n], w.pos); err != nil {
			return err
		}
		h, length, err := parsePageHeader(w.buf[:n])
		if err != nil {
			if n == w.end()-w.pos || len(w.buf) >= maxPageHeader {
				return w.damaged("it has a page without a valid header")
			}
			w.buf = make([]byte, 4*len(w.buf))
			continue
		}
		w.pos += int64(length)
		if err := w.checkPage(h, w.end()-w.pos); err != nil {
			return err
		}
		if err := w.hold(h); err != nil {
			return err
		}
		if err := w.checkBomb(w.src, h, w.pos); err != nil {
			return err
		}
		if err := w.checkIndices(h, w.pos); err != nil {
			return err
		}
		if h.kind == pageData || h.kind == pageDataV2 {
			w.seen += h.values
		}
		w.pos += h.compressed
		return nil
	}
}

// checkedReader is what Arrow reads a file through: no page comes to it that was
// not checked. Checking it only then lets a chunk be read once, from its
// beginning to its end, which matters where it comes over a network.
type checkedReader struct {
	*source
	walks []*pageWalk // of the open row group
}

func (r *checkedReader) ReadAt(p []byte, off int64) (int, error) {
	for _, w := range r.walks {
		if off < w.end() && off+int64(len(p)) > w.start {
			if err := w.until(off + int64(len(p))); err != nil {
				r.failed.set(err)
				return 0, err
			}
		}
	}
	return r.source.ReadAt(p, off)
}

// begin takes the chunks of the next row group, which are read beside each other.
func (r *checkedReader) begin(walks []*pageWalk) {
	r.walks = walks
	far, ok := r.File.(storage.Planner)
	if !ok {
		return
	}
	var plan []storage.Range
	for _, w := range walks {
		plan = append(plan, storage.Range{Start: w.start, End: w.end()})
	}
	far.Plan(plan)
}

// finish checks what Arrow has not asked for of the row group.
func (r *checkedReader) finish() error {
	for _, w := range r.walks {
		if err := w.until(w.end()); err != nil {
			return err
		}
	}
	return nil
}

func (c chunk) damaged(format string, args ...any) error {
	return columnError(schemas.ErrorSegmentUnreadable, c.column, "the file is damaged: %s; write it again", fmt.Sprintf(format, args...))
}

func (c chunk) checkPage(h pageHeader, room int64) error {
	switch {
	case h.compressed < 0 || h.uncompressed < 0 || h.values < 0 || h.defLevels < 0 || h.repLevels < 0:
		return c.damaged("a page has a negative size")
	case h.compressed > room:
		return c.damaged("a page is longer than the rest of its column")
	case h.uncompressed > maxPage, h.kind == pageDictionary && h.uncompressed > maxDictionary:
		return columnError(schemas.ErrorSegmentUnreadable, c.column, "a page takes %d MB once decompressed, more than this program reads at once; write the file again with pages of about 1 MB", h.uncompressed>>20)
	case h.defLevels+h.repLevels > min(h.compressed, h.uncompressed):
		return c.damaged("a page's levels are longer than the page")
	case h.kind == pageDictionary && (h.values > h.uncompressed || c.physical == parquet.Types.ByteArray && 4*h.values > h.uncompressed):
		return c.damaged("a dictionary of %d bytes can't have %d values", h.uncompressed, h.values)
	case c.codec == compress.Codecs.Uncompressed && h.compressed != h.uncompressed:
		return c.damaged("an uncompressed page has two sizes")
	case parquet.Encoding(h.encoding) == encodingByteStreamSplit && (h.kind == pageData || h.kind == pageDataV2):
		return errByteStreamSplit(c.column)
	}
	return nil
}

// encodingByteStreamSplit is BYTE_STREAM_SPLIT in parquet.thrift, for which Arrow
// v15 has no name.
const encodingByteStreamSplit parquet.Encoding = 9

func errByteStreamSplit(column string) error {
	return columnError(schemas.ErrorSegmentUnreadable, column, "it is encoded with BYTE_STREAM_SPLIT, which this program can't read; write the file again without that encoding")
}

// checkBomb refuses compressed data that grows far beyond the size that the
// page claims, where the codec would not stop there by itself.
func (c chunk) checkBomb(src *source, h pageHeader, pos int64) error {
	pos += h.defLevels + h.repLevels
	size := h.compressed - h.defLevels - h.repLevels
	want := h.uncompressed - h.defLevels - h.repLevels
	if size == 0 || h.plain {
		return nil
	}
	switch c.codec {
	case compress.Codecs.Snappy:
		// Snappy data starts with its decompressed size, which is taken at its
		// word.
		head := make([]byte, min(size, binary.MaxVarintLen64))
		if err := src.readFull(head, pos); err != nil {
			return err
		}
		if n, _ := binary.Uvarint(head); n != uint64(want) {
			return c.damaged("a page claims %d bytes once decompressed, and its data %d", want, n)
		}
	case compress.Codecs.Zstd:
		most, err := zstdMost(src, pos, size)
		if err != nil {
			return c.damaged("%v", err)
		}
		// Blocks may well be smaller than they could be, so this is generous.
		if most > 2*maxPage {
			return c.damaged("a page claims %d bytes once decompressed, and its data may be %d", want, most)
		}
	}
	return nil
}

// zstdMost says how large a zstd frame of that size can be once decompressed, by
// the headers of its blocks (RFC 8878): a block gives at most 128 KB, however
// few bytes it takes.
func zstdMost(src *source, pos, size int64) (int64, error) {
	end := pos + size
	var most int64
	var b [18]byte
	for pos < end {
		n := min(int64(len(b)), end-pos)
		if n < 5 {
			return 0, fmt.Errorf("a zstd frame is cut off")
		}
		if err := src.readFull(b[:n], pos); err != nil {
			return 0, err
		}
		switch magic := binary.LittleEndian.Uint32(b[:4]); {
		case magic>>4 == 0x184D2A5 && n >= 8: // a skippable frame
			pos += 8 + int64(binary.LittleEndian.Uint32(b[4:8]))
			continue
		case magic != 0xFD2FB528:
			return 0, fmt.Errorf("its data is not zstd")
		}
		flags := b[4]
		header := int64(5)
		single := flags&0x20 != 0
		if !single {
			header++
		}
		header += [4]int64{0, 1, 2, 4}[flags&3]
		switch sizes := flags >> 6; {
		case sizes == 0 && single:
			header++
		case sizes > 0:
			header += int64(1) << sizes
		}
		pos += header
		var err error
		var blocks int64
		if pos, blocks, err = zstdBlocks(src, pos, end); err != nil {
			return 0, err
		}
		most += blocks
		if flags&4 != 0 {
			pos += 4 // checksum
		}
	}
	return most, nil
}

// zstdBlocks walks through the blocks of one frame.
func zstdBlocks(src *source, pos, end int64) (next, most int64, err error) {
	const maxBlock = 128 << 10
	var b [3]byte
	for last := false; !last; {
		if pos+3 > end {
			return 0, 0, fmt.Errorf("a zstd frame is cut off")
		}
		if err := src.readFull(b[:], pos); err != nil {
			return 0, 0, err
		}
		head := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		last = head&1 != 0
		size := head >> 3
		pos += 3
		switch head >> 1 & 3 {
		case 0: // stored
			most += size
			pos += size
		case 1: // one byte, repeated
			most += size
			pos++
		case 2:
			most += maxBlock
			pos += size
		default:
			return 0, 0, fmt.Errorf("a zstd block is of no known kind")
		}
	}
	return pos, most, nil
}
