package parquetfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// TestFormsOfCodecs decompresses what writers make of the codecs that are understood in
// more than one way.
func TestFormsOfCodecs(t *testing.T) {
	text := bytes.Repeat([]byte("two halves of a page, "), 1000)
	half := len(text) / 2
	block := func(data []byte) []byte {
		out := make([]byte, lz4.CompressBlockBound(len(data)))
		n, err := lz4.CompressBlock(data, out, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out[:n]
	}
	hadoop := func(data []byte) []byte {
		b := block(data)
		head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(len(data))), uint32(len(b)))
		return append(head, b...)
	}
	member := func(data []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	var frame bytes.Buffer
	w := lz4.NewWriter(&frame)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		codec int32
		data  []byte
	}{
		"LZ4 in one block of Hadoop":        {codecLz4, hadoop(text)},
		"LZ4 in several blocks":             {codecLz4, append(hadoop(text[:half]), hadoop(text[half:])...)},
		"LZ4 in a block of several parts":   {codecLz4, append(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), hadoop(text[:half])[4:]...), hadoop(text[half:])[4:]...)},
		"LZ4 as a frame":                    {codecLz4, frame.Bytes()},
		"LZ4 as old Arrow wrote it":         {codecLz4, block(text)},
		"LZ4_RAW":                           {codecLz4Raw, block(text)},
		"gzip in members one after another": {codecGzip, append(member(text[:half]), member(text[half:])...)},
	} {
		page := make([]byte, len(text))
		if err := fill(c.codec, page, c.data); err != nil || !bytes.Equal(page, text) {
			t.Errorf("%s: %v", name, err)
		}
		if err := fill(c.codec, make([]byte, len(text)-1), c.data); err == nil {
			t.Errorf("%s: more than the page has was taken", name)
		}
		if err := fill(c.codec, make([]byte, len(text)+1), c.data); err == nil {
			t.Errorf("%s: less than the page has was taken", name)
		}
	}
	// A page of nothing but null is stored as what stands for no bytes.
	enc, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	for codec, data := range map[int32][]byte{codecZstd: enc.EncodeAll(nil, nil), codecSnappy: {0}, codecGzip: member(nil), codecLz4Raw: {0}} {
		if err := fill(codec, []byte{}, data); err != nil || len(data) == 0 {
			t.Errorf("%s of nothing, %d bytes: %v", codecNames[codec], len(data), err)
		}
	}
}
