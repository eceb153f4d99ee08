package parquetfile

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/parquet/file"
)

// TestPagesBesideEachOther: the largest data page of each column counts once, and dictionaries
// count too, with what Arrow makes of them.
func TestPagesBesideEachOther(t *testing.T) {
	number, text := int32(1), int32(6)
	for name, c := range map[string]struct {
		physical *int32
		page     pageHeader
		columns  int // that there is room for
	}{
		"data":                        {&text, pageHeader{Uncompressed: maxPage}, 4},
		"a dictionary of numbers":     {&number, pageHeader{Kind: pageDictionary, Uncompressed: maxDictionary}, 8},
		"a dictionary of empty texts": {&text, pageHeader{Kind: pageDictionary, Uncompressed: maxDictionary, V2: pageHeaderV2{Values: maxDictionary / 4}}, 2},
	} {
		tr := tree{schema: []element{{Physical: c.physical, Name: "email"}}}
		n := tr.node(file.LevelInfo{}, nil)
		var all held
		hold := func() error {
			p := newPages(place{node: n}, nil, &all)
			for range 10 { // one after the other
				if err := p.hold(p.needs(&c.page)); err != nil {
					return err
				}
			}
			return nil
		}
		for range c.columns {
			if err := hold(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := hold(); err == nil || !strings.Contains(err.Error(), "more than 1024 MB") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPagesThatAreDecoded: a page that is decoded here counts until then, and its values as long
// as a reader may need them. A page that DuckDB writes by default has 122,880 rows.
func TestPagesThatAreDecoded(t *testing.T) {
	const values = 122_880
	number := int32(2)
	// All are 7, in one block.
	same := []byte{0x80, 0x80, 0x40, 1, 0x80, 0xc0, 0x07, 14, 0, 0}
	for name, c := range map[string]struct {
		encoding int32
		page     []byte
	}{
		"delta":             {encodingDeltaInts, same},
		"BYTE_STREAM_SPLIT": {encodingSplit, make([]byte, 8*values)},
	} {
		tr := tree{schema: []element{{Physical: &number, Name: "n"}}}
		n := tr.node(file.LevelInfo{}, nil)
		var all held
		const columns, each = 3, 8 * values
		all.bytes.Store(maxPages - columns*each - each - 100) // there is room to decode one at a time
		read := func() error {
			p := newPages(place{node: n}, nil, &all)
			for range 3 {
				h := pageHeader{Kind: pageDataV2, Uncompressed: int32(len(c.page)), Compressed: int32(len(c.page)), V2: pageHeaderV2{Encoding: c.encoding, Values: values}}
				p.raw = c.page
				err := p.hold(p.needs(&h))
				if err == nil {
					err = p.data(&h)
				}
				p.release()
				if err != nil {
					return err
				}
			}
			return nil
		}
		for range columns {
			if err := read(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := read(); err == nil || !strings.Contains(err.Error(), "more than 1024 MB") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPagesLongerThanTheirValues: no codec makes a page much longer, so memory for the stored page
// is bounded by that of its values.
func TestPagesLongerThanTheirValues(t *testing.T) {
	number := int32(2)
	for _, c := range []struct {
		compressed, uncompressed int32
		ok                       bool
	}{{512 << 20, 1, false}, {2 << 20, 1 << 20, false}, {7 << 20 / 6, 1 << 20, true}, {100, 1, true}} {
		tr := tree{schema: []element{{Physical: &number, Name: "n"}}}
		place := place{node: tr.node(file.LevelInfo{}, nil), end: 1 << 30, limit: 1 << 30}
		place.Codec = 1
		p := newPages(place, nil, new(held))
		err := p.check(&pageHeader{Kind: pageDataV2, Compressed: c.compressed, Uncompressed: c.uncompressed})
		if (err == nil) != c.ok {
			t.Errorf("%d bytes for %d: %v", c.compressed, c.uncompressed, err)
		}
	}
}
