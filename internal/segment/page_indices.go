package segment

import (
	"encoding/binary"
	mathbits "math/bits"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
)

// checkIndices refuses a page whose indices have more bits than its dictionary has
// use for. Arrow takes memory for as many values as the highest index says, 24
// bytes each, before it notices that the dictionary ends sooner.
func (w *pageWalk) checkIndices(h pageHeader, pos int64) error {
	e := parquet.Encoding(h.encoding)
	if h.kind != pageData && h.kind != pageDataV2 || e != parquet.Encodings.RLEDict && e != parquet.Encodings.PlainDict {
		return nil
	}
	w.pages.mu.Lock()
	defer w.pages.mu.Unlock()
	values, err := w.unpack(h, pos)
	if err != nil || len(values) == 0 {
		return err
	}
	// Some writers round up; 2^20 values that are not there are no harm.
	width, need := int(values[0]), mathbits.Len64(uint64(max(w.entries, 1)-1))
	if width > max(20, need, min(need+3, 24)) {
		return w.damaged("a page has indices of %d bits into a dictionary of %d values", width, w.entries)
	}
	return nil
}

// unpack gives the values of a data page, decompressed and without levels.
func (w *pageWalk) unpack(h pageHeader, pos int64) ([]byte, error) {
	if h.compressed > maxPage {
		return nil, w.damaged("a page of %d MB", h.compressed>>20)
	}
	var levels int64 // in front of what is compressed
	if h.kind == pageDataV2 {
		levels = h.defLevels + h.repLevels
	}
	data := make([]byte, h.compressed-levels)
	if err := w.src.readFull(data, pos+levels); err != nil {
		return nil, err
	}
	if w.codec != compress.Codecs.Uncompressed && !h.plain && len(data) > 0 {
		codec, err := compress.GetCodec(w.codec)
		if err != nil {
			return nil, w.damaged("%v", err)
		}
		data = codec.Decode(make([]byte, h.uncompressed-levels), data)
	}
	if h.kind == pageDataV2 {
		return data, nil
	}
	var err error
	if data, err = w.skipLevels(data, w.maxRep, h.repEncoding, h.values); err != nil {
		return nil, err
	}
	return w.skipLevels(data, w.maxDef, h.defEncoding, h.values)
}

// skipLevels passes over the levels of a page of version 1.
func (w *pageWalk) skipLevels(data []byte, highest int16, encoding, values int64) ([]byte, error) {
	if highest == 0 {
		return data, nil
	}
	length := (values*int64(mathbits.Len16(uint16(highest))) + 7) / 8
	if parquet.Encoding(encoding) != parquet.Encodings.BitPacked {
		if len(data) < 4 {
			return nil, w.damaged("a page ends before its values")
		}
		length, data = int64(binary.LittleEndian.Uint32(data)), data[4:]
	}
	if length > int64(len(data)) {
		return nil, w.damaged("a page's levels are longer than the page")
	}
	return data[length:], nil
}
