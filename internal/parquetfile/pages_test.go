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
		"BYTE_STREAM_SPLIT":           {&number, pageHeader{Uncompressed: maxPage, V2: pageHeaderV2{Encoding: encodingSplit}}, 2},
		"delta":                       {&number, pageHeader{V2: pageHeaderV2{Encoding: encodingDeltaInts, Values: maxPage / 16}}, 4},
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
