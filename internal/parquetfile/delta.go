package parquetfile

import (
	"encoding/binary"
	"errors"
)

// The delta encodings are undone here and not by Arrow v15, whose decoder of 64-bit
// integers forgets where it is when a page does not fit into one batch, and whose
// others return zeros where a page has fewer values than it says.

var errDelta = errors.New("its delta encoding ends early, or does not follow the format")

// deltaInts decodes DELTA_BINARY_PACKED: at most as many values, and what follows.
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
	if err != nil || total > uint64(most) || minis == 0 || block > mostBlock || minis > block || block%minis != 0 || block/minis%8 != 0 {
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
				break // what is not needed is not stored
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

// bitsAt returns the number of so many bits that begins at a bit, lowest bits first.
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

// undelta returns the values of a delta encoding as PLAIN ones, after the levels.
func (p *pages) undelta(h *pageHeader, levels, data []byte) ([]byte, error) {
	values, rest, err := deltaInts(data, int(h.values))
	if err != nil {
		return nil, p.damaged("%v", err)
	}
	out := append(make([]byte, 0, len(levels)+8*len(values)), levels...)
	switch h.encoding {
	case encodingDeltaInts:
		for _, v := range values {
			if p.width() == 4 {
				out = binary.LittleEndian.AppendUint32(out, uint32(v))
			} else {
				out = binary.LittleEndian.AppendUint64(out, uint64(v))
			}
		}
		return out, nil
	case encodingDeltaLength:
		out, err = appendTexts(out, nil, values, rest)
	case encodingDeltaBytes:
		var suffixes []int64
		if suffixes, rest, err = deltaInts(rest, int(h.values)); err == nil {
			out, err = appendTexts(out, values, suffixes, rest)
		}
	}
	if err != nil {
		return nil, p.damaged("%v", err)
	}
	return out, nil
}

// appendTexts appends texts of these lengths that lie one after the other. Each
// begins with so many bytes of the one before, if there are prefixes.
func appendTexts(out []byte, prefixes, lengths []int64, data []byte) ([]byte, error) {
	if prefixes != nil && len(prefixes) != len(lengths) {
		return nil, errDelta
	}
	var last []byte
	for i, n := range lengths {
		var prefix []byte
		if prefixes != nil {
			if prefixes[i] < 0 || prefixes[i] > int64(len(last)) {
				return nil, errDelta
			}
			prefix = last[:prefixes[i]]
		}
		if n < 0 || n > int64(len(data)) || len(out)+len(prefix)+int(n) > maxPage {
			return nil, errDelta
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(prefix)+int(n)))
		start := len(out)
		out = append(append(out, prefix...), data[:n]...)
		last, data = out[start:], data[n:]
	}
	return out, nil
}
