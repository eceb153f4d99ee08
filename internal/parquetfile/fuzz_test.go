package parquetfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet/file"

	"iterable-segment-export/internal/columnar"
)

// memoryFile is a storage.File in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// FuzzPages reads any bytes as a column chunk. The result must be pages or an error, and never
// more bytes than a page may have.
func FuzzPages(f *testing.F) {
	f.Add([]byte("\x15\x00\x15\x10\x15\x10\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00\x04\x00\x00\x00abcd"), uint8(0), uint8(6), false)
	f.Add([]byte("\x15\x00\x15\x10\x15\x14\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00\x08\x1c\x04\x00\x00\x00abcd"), uint8(1), uint8(6), true)
	f.Fuzz(func(t *testing.T, data []byte, codec, physical uint8, nullable bool) {
		if len(data) > 1<<16 || codec > codecLz4Raw || codec == codecLzo || physical > 7 {
			return
		}
		kind := int32(physical)
		tr := tree{schema: []element{{Physical: &kind, Length: 5, Name: "x", Repetition: int32(map[bool]int{true: optional}[nullable])}}}
		n := tr.node(file.LevelInfo{NullSlotUsage: 1}, nil)
		if columnar.Supported(n.dt) != nil {
			return
		}
		src := columnar.NewSource(context.Background(), memoryFile{bytes.NewReader(data)})
		size := int64(len(data))
		p := newPages(place{node: n, chunkMeta: chunkMeta{Values: 100, Codec: int32(codec)}, end: size, limit: size}, src, &held{})
		r := file.NewRecordReader(n.descr, n.levels, arrow.BinaryTypes.Binary, columnar.NewBudget(columnar.MaxBatchMemory), &buffers)
		r.SetPageReader(p)
		func() {
			var err error
			defer columnar.Guard(&err)
			for range 200 {
				r.Reset()
				if k, err := r.ReadRecords(7); err != nil || k == 0 {
					return
				}
			}
		}()
		if p.page != nil && len(p.page.Data()) > maxPage {
			t.Errorf("a page of %d bytes", len(p.page.Data()))
		}
		var known *columnar.Error
		if p.err != nil && !errors.As(p.err, &known) && !errors.Is(p.err, io.EOF) && len(p.err.Error()) < 10 {
			t.Errorf("an error that does not explain itself: %v", p.err)
		}
	})
}

// TestDelta decodes what the format's description has as examples, and edges.
func TestDelta(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want []int64
	}{
		// 7 values, from Apache's Encodings.md: blocks of 128 in 4, first 7, the deltas
		// -2 -2 -2 1 1 1 with 2 bits each.
		"an example": {[]byte{128, 1, 4, 7, 14, 3, 2, 0, 0, 0, 0b11000000, 0b00111111, 0, 0, 0, 0, 0, 0, 99}, []int64{7, 5, 3, 1, 2, 3, 4}},
		"one value":  {[]byte{128, 1, 4, 1, 9, 99}, []int64{-5}},
		"none":       {[]byte{128, 1, 4, 0, 0, 99}, []int64{}},
		"64 bits":    {append([]byte{8, 1, 2, 0, 0, 64}, append(bytes.Repeat([]byte{0xff}, 7), append([]byte{0x7f}, append(make([]byte, 56), 99)...)...)...), []int64{0, math.MaxInt64}},
	} {
		got, rest, err := deltaInts(c.data, 100)
		if err != nil || len(got) != len(c.want) || len(rest) != 1 {
			t.Errorf("%s: %v, %d bytes left, %v", name, got, len(rest), err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v", name, got)
				break
			}
		}
	}
	// Values of 0 bits, more than a page may have.
	if got, _, err := deltaInts(append(binary.AppendUvarint([]byte{128, 1, 4}, maxPage/8+1), make([]byte, 100)...), math.MaxInt32); err == nil {
		t.Errorf("%d values", len(got))
	}
	for _, bad := range [][]byte{nil, {128}, {128, 1, 4, 200, 1, 0}, {0, 0, 1, 0}, {128, 1, 4, 7, 14, 3, 2, 0}, {128, 1, 4, 7, 14, 3, 65, 0, 0, 0}} {
		if got, _, err := deltaInts(bad, 100); err == nil {
			t.Errorf("%v is %v", bad, got)
		}
	}
}

func TestJulianDates(t *testing.T) {
	day := func(y, m, d int64) int64 { return civil(y, m, d) }
	for _, c := range []struct{ stored, want int64 }{
		{day(1582, 10, 15), day(1582, 10, 15)},
		{day(1582, 10, 15) - 1, day(1582, 10, 4)}, // the last day of the Julian calendar
		{day(0, 12, 30), day(1, 1, 1)},            // 0001-01-01, as old Spark writes it
		{day(1500, 3, 10), day(1500, 3, 1)},       // 1500-02-29, which only the Julian calendar has
		{0, 0},
	} {
		if got := gregorian(c.stored); got != c.want {
			t.Errorf("day %d is %d, not %d", c.stored, got, c.want)
		}
	}
}
