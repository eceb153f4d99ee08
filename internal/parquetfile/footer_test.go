package parquetfile

import (
	"bytes"
	"strings"
	"testing"
)

// TestManyParts reads a footer with as many column chunks as 10,000 columns in a
// hundred row groups have, and refuses one with more than there is memory for.
func TestManyParts(t *testing.T) {
	chunks := func(groups, columns int) []byte {
		const list, structs = 0x49, 12 // field 4 is a list
		varint := func(n int) (b []byte) {
			for ; n >= 0x80; n >>= 7 {
				b = append(b, byte(n)|0x80)
			}
			return append(b, byte(n))
		}
		// Each chunk has a place with a codec: fields 3 and, in it, 4.
		chunk := []byte{0x3c, 0x45, 0x02, 0, 0}
		group := append(append([]byte{0x19, 0xf0 | structs}, varint(columns)...), bytes.Repeat(chunk, columns)...)
		group = append(group, 0)
		return append(append(append([]byte{list, 0xf0 | structs}, varint(groups)...), bytes.Repeat(group, groups)...), 0)
	}
	var f footer
	if _, err := unmarshal(chunks(100, 10_000), &f); err != nil || len(f.Groups) != 100 || len(f.Groups[99].Chunks) != 10_000 || f.Groups[99].Chunks[9_999].Meta.Codec != codecSnappy {
		t.Errorf("%d row groups, %v", len(f.Groups), err)
	}
	if _, err := unmarshal(chunks(2, maxParts/2), &f); err == nil || !strings.Contains(err.Error(), "2000000 parts") {
		t.Errorf("%v", err)
	}
}
