package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/zeebo/xxh3"
)

// The trailer is between the last record batch of the staged file and Arrow's footer. It is
// little-endian:
//
//	8 bytes a batch   checksum of the batch's content
//	8 bytes           number of batches
//	8 bytes           checksum of the batches' checksums and the footer
//	8 bytes           trailerMagic
//
// It is checked before Arrow reads the footer. With a damaged length there, Arrow would
// allocate all of the machine's memory.
const (
	trailerMagic = "BATCHSUM"
	trailerFixed = 24
)

// footerEnd is the size of the end of an Arrow file: the footer's length in four bytes, and
// Arrow's magic.
var footerEnd = 4 + len(ipc.Magic)

// footerLength reads the footer's length from the last footerEnd bytes of a file.
func footerLength(end []byte) int64 { return int64(binary.LittleEndian.Uint32(end)) }

func trailerSum(sums, footer []byte) uint64 {
	const seed uint64 = 0x747261696c_01 // "trail", version 1
	return xxh3.HashSeed(footer, xxh3.HashSeed(sums, seed))
}

// withTrailer returns end with the trailer inserted before the footer.
func withTrailer(end []byte, sums []uint64) ([]byte, error) {
	at := int64(len(end)-footerEnd) - footerLength(end[len(end)-footerEnd:])
	if at < 0 {
		return nil, errors.New("the footer is too short")
	}
	out := make([]byte, 0, len(end)+8*len(sums)+trailerFixed)
	out = append(out, end[:at]...)
	for _, sum := range sums {
		out = binary.LittleEndian.AppendUint64(out, sum)
	}
	sum := trailerSum(out[at:], end[at:])
	out = binary.LittleEndian.AppendUint64(out, uint64(len(sums)))
	out = binary.LittleEndian.AppendUint64(out, sum)
	out = append(out, trailerMagic...)
	return append(out, end[at:]...), nil
}

// readTrailer reads the batches' checksums, 8 bytes each, and checks them and the
// footer of a file of size bytes.
func readTrailer(r io.ReaderAt, size int64) ([]byte, error) {
	if size < int64(footerEnd+trailerFixed) {
		return nil, fmt.Errorf("it has only %d bytes", size)
	}
	end := make([]byte, footerEnd)
	if err := readFull(r, end, size-int64(footerEnd)); err != nil {
		return nil, err
	}
	at := size - int64(footerEnd) - footerLength(end) - trailerFixed
	if string(end[4:]) != string(ipc.Magic) || at < 0 {
		return nil, errors.New("it does not end like an Arrow file; it may be cut off")
	}
	tail := make([]byte, size-at)
	if err := readFull(r, tail, at); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(tail)
	if string(tail[16:trailerFixed]) != trailerMagic || n > uint64(at)/8 {
		return nil, errors.New("its checksums are missing")
	}
	sums := make([]byte, n*8)
	if err := readFull(r, sums, at-int64(len(sums))); err != nil {
		return nil, err
	}
	if trailerSum(sums, tail[trailerFixed:]) != binary.LittleEndian.Uint64(tail[8:]) {
		return nil, errors.New("its footer does not match its checksum")
	}
	return sums, nil
}

// readFull reads all of buf from offset at.
func readFull(r io.ReaderAt, buf []byte, at int64) error {
	if n, err := r.ReadAt(buf, at); n < len(buf) {
		return fmt.Errorf("read %d bytes at %d: %w", len(buf), at, err)
	}
	return nil
}
