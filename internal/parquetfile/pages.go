package parquetfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	mathbits "math/bits"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// Bounds on a decompressed page, in bytes. Writers make pages of about 1 MB, and
// dictionaries of 1 or 2.
const (
	maxPage       = 256 << 20
	maxDictionary = 64 << 20
	// maxPages bounds the sum of the largest pages of all columns of a row group, since
	// one page of each is in memory.
	maxPages = 1 << 30
	// framing is what a codec may add to a page, beside a quarter of its bytes. Snappy's
	// documented worst case is a sixth; the other codecs store what they can't compress.
	framing = 64 << 10
	// maxPageHeader is Arrow's own bound.
	maxPageHeader = 16 << 20
)

// Values of PageType.
const (
	pageData       = 0
	pageDictionary = 2
	pageDataV2     = 3
)

// Values of Encoding.
const (
	encodingPlain       = 0
	encodingPlainDict   = 2
	encodingRLE         = 3
	encodingBitPacked   = 4
	encodingDeltaInts   = 5
	encodingDeltaLength = 6
	encodingDeltaBytes  = 7
	encodingRLEDict     = 8
	encodingSplit       = 9 // BYTE_STREAM_SPLIT, which Arrow v15 lacks
)

// place is the location of a column chunk according to the footer.
type place struct {
	*node
	chunkMeta
	start, end int64
	limit      int64 // the end of the file's data
}

func (p *place) damaged(format string, args ...any) error {
	return columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "the file is damaged: %s; write it again", fmt.Sprintf(format, args...))
}

// held is the sum of the largest pages of each column of a row group, in bytes.
type held struct{ bytes atomic.Int64 }

// pages is a file.PageReader that reads the pages of a column chunk once, in their order.
// It checks them, decompresses them within bounds, and passes them to Arrow v15 in a form
// that it can decode. Arrow's own page reader allocates the sizes that a header claims,
// accepts a chunk with too few values, and lacks codecs and encodings that writers use by
// default.
type pages struct {
	place
	src  *columnar.Source
	held *held

	pos                      int64 // of the next page
	seen                     int64 // values of the pages before it
	entries                  int32 // of the dictionary
	largest, dictionaryBytes int64 // memory of data pages and of the dictionary
	decoded                  int64 // of values decoded from a delta encoding or BYTE_STREAM_SPLIT
	working                  int64 // memory that decoding them needs, only during step
	header                   []byte
	raw                      []byte // a page as stored, only during step
	plain                    []byte // a decompressed data page
	page                     file.Page
	err                      error
}

func newPages(p place, src *columnar.Source, h *held) *pages {
	return &pages{place: p, src: src, held: h, pos: p.start, header: make([]byte, 512)}
}

// SetMaxPageHeaderSize implements file.PageReader.
func (p *pages) SetMaxPageHeaderSize(int) {}

// Reset implements file.PageReader. It does nothing, since each chunk has its own reader.
func (p *pages) Reset(parquet.BufferedReader, int64, compress.Compression, *file.CryptoContext) {}

// Page implements file.PageReader.
func (p *pages) Page() file.Page { return p.page }

// Err implements file.PageReader.
func (p *pages) Err() error { return p.err }

// Next implements file.PageReader. It invalidates the page before.
func (p *pages) Next() bool {
	if p.page = nil; p.err != nil || p.seen >= p.Values {
		return false
	}
	for p.page == nil && p.err == nil && p.pos < p.end {
		p.err = p.step()
	}
	if p.err == nil && (p.page == nil || p.seen > p.Values) {
		p.err = p.wrongCount()
	}
	return p.err == nil
}

// finish returns an error if a chunk of which all rows were read is damaged.
func (p *pages) finish() error {
	if p.err == nil && p.seen != p.Values {
		p.err = p.wrongCount()
	}
	return p.err
}

func (p *pages) wrongCount() error {
	return p.damaged("the footer claims %d values, its pages have %d", p.Values, p.seen)
}

// room returns the maximum size of the next page in bytes. Old versions of parquet-mr
// left a dictionary's header out of a chunk's length (PARQUET-816).
func (p *pages) room() int64 {
	const forgotten = 100
	return min(p.end+forgotten, p.limit) - p.pos
}

// step reads one page.
func (p *pages) step() error {
	h, err := p.readHeader()
	if err != nil {
		return err
	}
	if err := p.check(&h); err != nil {
		return err
	}
	if !h.isData() && h.Kind != pageDictionary { // an index, which is not used
		p.pos += int64(h.Compressed)
		return nil
	}
	if err := p.hold(p.needs(&h)); err != nil {
		return err
	}
	defer p.release()
	raw := borrow(int(h.Compressed))
	p.raw = *raw
	defer func() { p.raw = nil; giveBack(raw) }()
	if err := p.src.ReadFull(p.raw, p.pos); err != nil {
		return err
	}
	p.pos += int64(h.Compressed)
	if h.CRC != nil && crc32.ChecksumIEEE(p.raw) != uint32(*h.CRC) {
		return p.damaged("the checksum of a page is wrong")
	}
	if h.Kind == pageDictionary {
		return p.dictionary(&h)
	}
	p.seen += int64(h.V2.Values)
	return p.data(&h)
}

func (h *pageHeader) isData() bool { return h.Kind == pageData || h.Kind == pageDataV2 }

// raws are buffers for pages that are needed only until they are decoded.
var raws = sync.Pool{New: func() any { return new([]byte) }}

func borrow(n int) *[]byte {
	b := raws.Get().(*[]byte)
	*b = resized(*b, n)
	return b
}

// giveBack puts a buffer into raws, except one of an unusually large page.
func giveBack(b *[]byte) {
	const most = 4 << 20
	if cap(*b) <= most {
		raws.Put(b)
	}
}

// isDecoded reports whether the values of a page are decoded here into memory of their own.
func (h *pageHeader) isDecoded() bool {
	switch h.V2.Encoding {
	case encodingSplit, encodingDeltaInts, encodingDeltaLength, encodingDeltaBytes:
		return h.isData()
	}
	return false
}

// release no longer counts the memory that was needed to decode a page.
func (p *pages) release() {
	p.held.bytes.Add(-p.working)
	p.working = 0
}

// needs returns the memory of a page, in bytes. Data pages share the same memory, which
// largest counts; the dictionary needs its own. A page that is decoded here is needed only
// until then, and its values are counted once their number is certain.
func (p *pages) needs(h *pageHeader) (largest *int64, size int64) {
	const text = 24 // of a text in Arrow's dictionary
	const delta = 8 // of a number, or of a text's length
	size, values := int64(h.Uncompressed), int64(h.V2.Values)
	physical := p.descr.PhysicalType()
	texts := physical == parquet.Types.ByteArray || physical == parquet.Types.FixedLenByteArray
	switch {
	case h.Kind == pageDictionary && texts:
		return &p.dictionaryBytes, size + text*values
	case h.Kind == pageDictionary:
		return &p.dictionaryBytes, 2 * size
	case h.V2.Encoding == encodingDeltaBytes: // of a text's two lengths
		return &p.working, size + 2*delta*values
	case h.V2.Encoding == encodingDeltaInts, h.V2.Encoding == encodingDeltaLength:
		return &p.working, size + delta*values
	case h.V2.Encoding == encodingSplit:
		return &p.working, size
	}
	return &p.largest, size
}

// hold counts the memory of the next page.
func (p *pages) hold(largest *int64, size int64) error {
	more := max(0, size-*largest)
	*largest += more
	if p.held.bytes.Add(more) > maxPages {
		return columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "the pages of all mapped columns together need more than %d MB; write the file again with pages of about 1 MB", maxPages>>20)
	}
	return nil
}

func (p *pages) readHeader() (pageHeader, error) {
	header := p.header // a larger one is not kept
	for {
		n := min(int64(len(header)), p.room())
		if n <= 0 {
			return pageHeader{}, p.damaged("it has a page without a valid header")
		}
		if err := p.src.ReadFull(header[:n], p.pos); err != nil {
			return pageHeader{}, err
		}
		var h pageHeader
		length, err := unmarshal(header[:n], &h)
		if err == nil {
			p.pos += int64(length)
			switch h.Kind { // V2 has the fields of all kinds
			case pageData:
				h.V2.Values, h.V2.Encoding = h.V1.Values, h.V1.Encoding
			case pageDictionary:
				h.V2.Values = h.Dictionary.Values
			}
			return h, nil
		}
		if n == p.room() || len(header) >= maxPageHeader {
			return h, p.damaged("it has a page without a valid header")
		}
		header = make([]byte, 4*len(header))
	}
}

// resized returns b with n bytes, or a new buffer if it is too small.
func resized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func (p *pages) check(h *pageHeader) error {
	v := &h.V2
	levels := int64(v.DefLevels) + int64(v.RepLevels)
	least := p.width() // bytes of a dictionary's entry
	if least == 0 {
		least = 4
	}
	switch {
	case min(h.Compressed, h.Uncompressed, v.Values, v.DefLevels, v.RepLevels) < 0:
		return p.damaged("a page has a negative size")
	case int64(h.Compressed) > p.room():
		return p.damaged("a page is longer than the rest of its column")
	case h.isData() && int64(v.Values) > p.Values-p.seen:
		p.seen += int64(v.Values)
		return p.wrongCount()
	case h.Uncompressed > maxPage, h.Kind == pageDictionary && h.Uncompressed > maxDictionary:
		return columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "a page has %d MB decompressed, more than this program reads at once; write the file again with pages of about 1 MB", h.Uncompressed>>20)
	case h.Kind == pageDataV2 && levels > int64(min(h.Compressed, h.Uncompressed)):
		return p.damaged("a page's levels are longer than the page")
	case h.Kind == pageDictionary && int64(v.Values)*int64(least) > int64(h.Uncompressed):
		return p.damaged("a dictionary of %d bytes can't have %d values", h.Uncompressed, v.Values)
	case int64(h.Compressed) > int64(h.Uncompressed)+int64(h.Uncompressed)/4+framing:
		return p.damaged("a page of %d bytes can't have %d decompressed bytes", h.Compressed, h.Uncompressed)
	case p.Codec == codecNone && h.Compressed != h.Uncompressed:
		return p.damaged("an uncompressed page has two sizes")
	case h.isData() && (v.Encoding == encodingBitPacked || v.Encoding < 0 || v.Encoding > encodingSplit || v.Encoding == 1):
		return columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "its encoding (number %d) is unknown; write the file again with plain encodings", v.Encoding)
	}
	return nil
}

// unpack decompresses the stored page, except its first levels bytes, which are never
// compressed.
func (p *pages) unpack(into []byte, levels int, stored bool) error {
	copy(into, p.raw[:levels])
	src, page := p.raw[levels:], into[levels:]
	if len(src) == 0 && len(page) == 0 { // only nulls
		return nil
	}
	if stored || p.Codec == codecNone {
		if len(src) != len(page) {
			return p.damaged("an uncompressed page has two sizes")
		}
		copy(page, src)
		return nil
	}
	if err := fill(p.Codec, page, src); err != nil {
		return p.damaged("a page can't be decompressed with %s: %v", codecNames[p.Codec], err)
	}
	return nil
}

var codecNames = [...]string{"nothing", "snappy", "gzip", "LZO", "brotli", "LZ4", "zstd", "LZ4_RAW"}

// dictionary sets page to a dictionary page, in its own memory, since its values are used
// until the end of the chunk.
func (p *pages) dictionary(h *pageHeader) error {
	data := make([]byte, h.Uncompressed)
	if err := p.unpack(data, 0, false); err != nil {
		return err
	}
	p.entries = h.V2.Values
	p.page = file.NewDictionaryPage(memory.NewBufferBytes(data), p.entries, parquet.Encodings.Plain)
	return nil
}

func (p *pages) data(h *pageHeader) (err error) {
	v, levels, data := &h.V2, 0, []byte(nil)
	if h.isDecoded() {
		buffer := borrow(int(h.Uncompressed))
		defer giveBack(buffer)
		data = *buffer
	} else {
		p.plain = resized(p.plain, int(h.Uncompressed))
		data = p.plain
	}
	if h.Kind == pageDataV2 {
		levels = int(v.DefLevels + v.RepLevels)
	}
	if err := p.unpack(data, levels, h.Kind == pageDataV2 && v.Compressed != nil && !*v.Compressed); err != nil {
		return err
	}
	if h.Kind == pageData {
		if levels, err = p.levelBytes(h, data); err != nil {
			return err
		}
	}
	switch v.Encoding {
	case encodingPlainDict, encodingRLEDict:
		err = p.checkIndices(data[levels:])
	case encodingSplit:
		data, err = p.joined(data, levels)
		v.Encoding = encodingPlain
	case encodingDeltaInts, encodingDeltaLength, encodingDeltaBytes:
		data, err = p.undelta(v.Encoding, int(v.Values), data[:levels], data[levels:])
		v.Encoding = encodingPlain
	}
	if err != nil {
		return err
	}
	buffer := memory.NewBufferBytes(data)
	if h.Kind == pageData {
		p.page = file.NewDataPageV1(buffer, v.Values, parquet.Encoding(v.Encoding), parquet.Encoding(h.V1.DefEncoding), parquet.Encoding(h.V1.RepEncoding), int32(len(data)))
	} else {
		p.page = file.NewDataPageV2(buffer, v.Values, v.Nulls, v.Rows, parquet.Encoding(v.Encoding), v.DefLevels, v.RepLevels, int32(len(data)), false)
	}
	return nil
}

// levelBytes returns the size of the levels of a page of version 1 in bytes.
func (p *pages) levelBytes(h *pageHeader, data []byte) (int, error) {
	total := 0
	for _, l := range []struct {
		highest  int16
		encoding int32
	}{{p.descr.MaxRepetitionLevel(), h.V1.RepEncoding}, {p.descr.MaxDefinitionLevel(), h.V1.DefEncoding}} {
		if l.highest == 0 {
			continue
		}
		length := (int64(h.V2.Values)*int64(mathbits.Len16(uint16(l.highest))) + 7) / 8
		if l.encoding != encodingBitPacked {
			if len(data)-total < 4 {
				return 0, p.damaged("a page ends before its values")
			}
			length = 4 + int64(binary.LittleEndian.Uint32(data[total:]))
		}
		if length > int64(len(data)-total) {
			return 0, p.damaged("a page's levels are longer than the page")
		}
		total += int(length)
	}
	return total, nil
}

// checkIndices returns an error if a page's indices have more bits than its dictionary
// needs. Arrow allocates 24 bytes for each value up to the highest index, before it
// notices that the dictionary is smaller.
func (p *pages) checkIndices(values []byte) error {
	if len(values) == 0 {
		return nil
	}
	// Some writers round up; memory for 2^20 missing values is harmless.
	width, need := int(values[0]), mathbits.Len64(uint64(max(p.entries, 1)-1))
	if width > max(20, need, min(need+3, 24)) {
		return p.damaged("a page has indices of %d bits into a dictionary of %d values", width, p.entries)
	}
	return nil
}

// joined decodes BYTE_STREAM_SPLIT, which stores the first bytes of all values, then the
// second bytes, and so on.
func (p *pages) joined(data []byte, levels int) ([]byte, error) {
	width := p.width()
	split := data[levels:]
	if width == 0 || len(split)%width != 0 {
		return nil, p.damaged("a page with BYTE_STREAM_SPLIT has %d bytes, which is not a multiple of a value's %d", len(split), width)
	}
	if err := p.hold(&p.decoded, int64(len(data))); err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	copy(out, data[:levels])
	n := len(split) / width
	for k := range width {
		for i, b := range split[k*n : (k+1)*n] {
			out[levels+i*width+k] = b
		}
	}
	return out, nil
}

// width returns the size of a value in bytes, 0 if it varies.
func (p *pages) width() int {
	switch p.descr.PhysicalType() {
	case parquet.Types.Int32, parquet.Types.Float:
		return 4
	case parquet.Types.Int64, parquet.Types.Double:
		return 8
	case parquet.Types.Int96:
		return parquet.Int96SizeBytes
	case parquet.Types.FixedLenByteArray:
		return p.descr.TypeLength()
	}
	return 0
}
