package parquetfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Values of CompressionCodec.
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecLzo    = 3
	codecBrotli = 4
	codecLz4    = 5
	codecZstd   = 6
	codecLz4Raw = 7
)

// checkCodec returns an error for codecs that no maintained Go library supports.
func checkCodec(codec int32) error {
	switch {
	case codec == codecLzo:
		return errors.New("it is compressed with LZO, which this program can't read; write the file again with snappy or zstd")
	case codec < 0 || codec > codecLz4Raw:
		return fmt.Errorf("its compression (number %d) is unknown; write the file again with snappy or zstd", codec)
	}
	return nil
}

// fill decompresses src into page, whose length is that in the page's header. Data of
// another size is an error, before memory is allocated for it.
func fill(codec int32, page, src []byte) error {
	var n int
	var err error
	switch codec {
	case codecSnappy:
		// Snappy data starts with its decompressed size, which the library trusts.
		if n, err = snappy.DecodedLen(src); err == nil && n == len(page) {
			_, err = snappy.Decode(page, src)
		}
	case codecGzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(src)); err == nil {
			n, err = readAll(r, page)
		}
	case codecBrotli:
		n, err = readAll(brotli.NewReader(bytes.NewReader(src)), page)
	case codecZstd:
		var out []byte
		out, err = zstdDecoder.DecodeAll(src, page[:0:len(page)])
		if n = len(out); errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			n, err = len(page)+1, nil
		}
	case codecLz4Raw:
		n, err = lz4.UncompressBlock(src, page)
	case codecLz4:
		n, err = fillLz4(page, src)
	}
	if err == nil && n != len(page) {
		err = fmt.Errorf("a page claims %d decompressed bytes, but its data has another size", len(page))
	}
	return err
}

// zstdDecoder decodes whole pages. It is safe for concurrent use.
var zstdDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxPage), zstd.WithDecodeAllCapLimit(true))

// readAll reads r to its end, but at most one byte more than fits into page.
func readAll(r io.Reader, page []byte) (int, error) {
	n, err := io.ReadFull(r, page)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	var more [1]byte
	k, err := io.ReadFull(r, more[:])
	if err == io.EOF {
		err = nil
	}
	return n + k, err
}

// fillLz4 decompresses Parquet's codec LZ4. Writers use it for three formats: blocks
// preceded by two lengths (Hadoop), an LZ4 frame, or a single block (old Arrow).
func fillLz4(page, src []byte) (int, error) {
	const frame = 0x184D2204
	if len(src) >= 4 && binary.LittleEndian.Uint32(src) == frame {
		return readAll(lz4.NewReader(bytes.NewReader(src)), page)
	}
	if n, ok := fillHadoop(page, src); ok {
		return n, nil
	}
	return lz4.UncompressBlock(src, page)
}

// fillHadoop decompresses Hadoop's blocks. Each has its decompressed length, and then one
// or more parts with their compressed lengths.
func fillHadoop(page, src []byte) (n int, ok bool) {
	number := func() int64 {
		if len(src) < 4 {
			return math.MaxInt64
		}
		v := binary.BigEndian.Uint32(src)
		src = src[4:]
		return int64(v)
	}
	for len(src) > 0 {
		whole := number()
		if whole > int64(len(page)-n) {
			return 0, false
		}
		for end := n + int(whole); ; {
			part := number()
			if part > int64(len(src)) {
				return 0, false
			}
			k, err := lz4.UncompressBlock(src[:part], page[n:end])
			if n, src = n+k, src[part:]; n == end && err == nil {
				break
			}
			if err != nil || k == 0 {
				return 0, false
			}
		}
	}
	return n, true
}
