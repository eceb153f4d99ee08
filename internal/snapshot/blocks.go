package snapshot

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/zeebo/xxh3"
)

// block is the part of the file that holds one record batch. The blocks follow
// one another from the first byte of the file.
type block struct {
	offset, length int64 // bytes
	start, rows    int64 // the first row's number, and how many there are
	first          Key
	sum            uint64 // XXH3-64 of the bytes
}

// The table of contents is between the last record batch and Arrow's footer, where readers
// of Arrow files never look. This package reads it instead of the footer, because a single
// wrong bit in a footer can make Arrow's reader allocate any amount of memory. Its parts:
//
//	the header as JSON
//	each block: its length, rows and checksum in 8 bytes each, and its first key
//	the lengths of those two, in 8 bytes each
//	XXH3-64 of the above and of all that follows this table in the file
//	tocMagic
//
// Numbers are little-endian.
const (
	blockSize = 8 + 8 + 8 + 16
	tocTail   = 8 + 8 + 8 + len(tocMagic)
	tocMagic  = "members\n"
)

// packToc makes the table that comes before Arrow's footer.
func packToc(h Header, blocks []block, footer []byte) ([]byte, error) {
	toc, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode a snapshot's header: %w", err)
	}
	header := len(toc)
	for _, b := range blocks {
		toc = binary.LittleEndian.AppendUint64(toc, uint64(b.length))
		toc = binary.LittleEndian.AppendUint64(toc, uint64(b.rows))
		toc = binary.LittleEndian.AppendUint64(toc, b.sum)
		toc = append(toc, b.first[:]...)
	}
	list := len(toc) - header
	toc = binary.LittleEndian.AppendUint64(toc, uint64(header))
	toc = binary.LittleEndian.AppendUint64(toc, uint64(list))
	toc = binary.LittleEndian.AppendUint64(toc, tocSum(toc, footer))
	return append(toc, tocMagic...), nil
}

func tocSum(parts ...[]byte) uint64 {
	sum := xxh3.New()
	for _, p := range parts {
		sum.Write(p) // a Hasher never fails
	}
	return sum.Sum64()
}

// unpackToc reads what packToc made: the table, and the footer behind it. end is
// the number of bytes before it, which the blocks fill.
func unpackToc(toc, footer []byte, end int64) (h Header, blocks []block, err error) {
	tail := toc[len(toc)-tocTail:]
	if binary.LittleEndian.Uint64(tail[16:]) != tocSum(toc[:len(toc)-len(tocMagic)-8], footer) {
		return h, nil, fmt.Errorf("%w: wrong checksum of the table of contents", ErrCorrupt)
	}
	header := len(toc) - tocTail - int(binary.LittleEndian.Uint64(tail[8:]))
	if err := json.Unmarshal(toc[:header], &h); err != nil {
		return h, nil, fmt.Errorf("%w: parse its header: %v", ErrCorrupt, err)
	}
	if h.Format != Format {
		return h, nil, fmt.Errorf("%w: it has format %d, and this program reads format %d", ErrForeign, h.Format, Format)
	}
	packed := toc[header : len(toc)-tocTail]
	blocks = make([]block, len(packed)/blockSize)
	var offset, rows int64
	for i := range blocks {
		p := packed[i*blockSize:]
		b := block{
			offset: offset, length: int64(binary.LittleEndian.Uint64(p)),
			start: rows, rows: int64(binary.LittleEndian.Uint64(p[8:])),
			sum: binary.LittleEndian.Uint64(p[16:]), first: Key(p[24:40]),
		}
		if b.length <= 0 || b.length > min(end-offset, maxBatch) || b.rows <= 0 || b.rows > batchRows {
			return h, nil, fmt.Errorf("%w: batch %d has an invalid length", ErrCorrupt, i)
		}
		if i > 0 && blocks[i-1].first.compare(b.first) >= 0 {
			return h, nil, fmt.Errorf("%w: batch %d is out of order", ErrCorrupt, i)
		}
		offset, rows, blocks[i] = offset+b.length, rows+b.rows, b
	}
	if len(blocks) > 0 && offset != end {
		return h, nil, fmt.Errorf("%w: its batches leave %d bytes", ErrCorrupt, end-offset)
	}
	if rows != h.Rows {
		return h, nil, fmt.Errorf("%w: its header counts %d members, its batches %d", ErrCorrupt, h.Rows, rows)
	}
	return h, blocks, nil
}
