package parquetfile

import (
	"encoding/binary"
	"errors"

	"github.com/apache/arrow/go/v15/parquet"
)

// The delta encodings are decoded here. Arrow v15's decoder of 64-bit integers loses its
// position if a page does not fit into one batch, and the others return zeros if a page
// has fewer values than it claims. That of parquet-go v0.32.0 makes up the values of a page
// that is cut off, without an error.

var errDelta = errors.New("its delta encoding ends early, or does not follow the format")

// deltaInts decodes DELTA_BINARY_PACKED. It returns at most most values, and the rest of
// the data. Values of 0 bits take no bytes, so a page's size does not bound their number.
func deltaInts(data []byte, most int) (values []int64, rest []byte, err error) {
	uvarint := func() uint64 {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			err = errDelta
			return 0
		}
		data = data[n:]
		return v
	}
	zigzag := func() int64 { v := uvarint(); return int64(v>>1) ^ -int64(v&1) }
	const mostBlock = 1 << 20
	block, minis, total := uvarint(), uvarint(), uvarint()
	value := zigzag()
	if err != nil || total > uint64(min(most, maxPage/8)) || minis == 0 || block > mostBlock || minis > block || block%minis != 0 || block/minis%8 != 0 {
		return nil, nil, errDelta
	}
	values = make([]int64, 0, total)
	if total > 0 {
		values = append(values, value)
	}
	perMini := int(block / minis)
	for uint64(len(values)) < total {
		least := zigzag()
		if err != nil || uint64(len(data)) < minis {
			return nil, nil, errDelta
		}
		widths := data[:minis]
		data = data[minis:]
		for _, width := range widths {
			left := int(total) - len(values)
			if left == 0 {
				break // unused miniblocks are not stored
			}
			size := int(width) * perMini / 8
			if width > 64 || size > len(data) {
				return nil, nil, errDelta
			}
			for i := range min(left, perMini) {
				value += least + int64(bitsAt(data[:size], i*int(width), int(width)))
				values = append(values, value)
			}
			data = data[size:]
		}
	}
	return values, data, nil
}

// bitsAt returns the number of width bits that begins at a bit, lowest bits first.
func bitsAt(data []byte, bit, width int) uint64 {
	var v uint64
	at := bit / 8
	for have := -(bit % 8); have < width && at < len(data); at++ {
		if have < 0 {
			v = uint64(data[at]) >> -have
		} else {
			v |= uint64(data[at]) << have
		}
		have += 8
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}

// undelta decodes values of a delta encoding, and returns the levels followed by the
// values in PLAIN encoding.
func (p *pages) undelta(encoding int32, most int, levels, data []byte) ([]byte, error) {
	values, rest, err := deltaInts(data, most)
	if err != nil {
		return nil, p.damaged("%v", err)
	}
	var out []byte
	physical := p.descr.PhysicalType()
	switch texts := physical == parquet.Types.ByteArray || physical == parquet.Types.FixedLenByteArray; {
	case encoding == encodingDeltaInts && (physical == parquet.Types.Int32 || physical == parquet.Types.Int64):
		size := len(levels) + p.width()*len(values)
		if err := p.hold(&p.decoded, int64(size)); err != nil {
			return nil, err
		}
		out = append(make([]byte, 0, size+8), levels...) // the last value is cut after it is appended
		for _, v := range values {
			out = binary.LittleEndian.AppendUint64(out, uint64(v))
			out = out[:len(out)-8+p.width()]
		}
	case encoding == encodingDeltaLength && texts:
		return p.texts(levels, nil, values, rest)
	case encoding == encodingDeltaBytes && texts:
		var suffixes []int64
		if suffixes, rest, err = deltaInts(rest, most); err == nil && len(suffixes) != len(values) {
			err = errDelta
		}
		if err == nil {
			return p.texts(levels, values, suffixes, rest)
		}
	default:
		err = errDelta
	}
	if err != nil {
		return nil, p.damaged("%v", err)
	}
	return out, nil
}

// texts returns the levels followed by texts of these lengths. With prefixes, each text
// begins with that many bytes of the one before.
func (p *pages) texts(levels []byte, prefixes, lengths []int64, data []byte) ([]byte, error) {
	fixed := int64(p.width())
	size, last, left := int64(len(levels)), int64(0), int64(len(data))
	for i, n := range lengths {
		prefix := int64(0)
		if prefixes != nil {
			prefix = prefixes[i]
		}
		if n < 0 || n > left || prefix < 0 || prefix > last || fixed > 0 && prefix+n != fixed {
			return nil, p.damaged("%v", errDelta)
		}
		last, left = prefix+n, left-n
		if size += last; fixed == 0 {
			size += 4
		}
		if size > maxPage {
			return nil, p.damaged("%v", errDelta)
		}
	}
	// A shared prefix takes no bytes, so the page's size does not bound that of its texts.
	if err := p.hold(&p.decoded, size); err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, size), levels...)
	var before []byte
	for i, n := range lengths {
		var prefix []byte
		if prefixes != nil {
			prefix = before[:prefixes[i]]
		}
		if fixed == 0 {
			out = binary.LittleEndian.AppendUint32(out, uint32(int64(len(prefix))+n))
		}
		start := len(out)
		out = append(append(out, prefix...), data[:n]...)
		before, data = out[start:], data[n:]
	}
	return out, nil
}
