package parquetfile

import (
	"strings"
	"testing"
)

// TestPagesBesideEachOther: the largest data page of each column counts once, and dictionaries
// count too.
func TestPagesBesideEachOther(t *testing.T) {
	var all held
	hold := func(kind, size int32) error {
		p := newPages(place{node: &node{name: "email"}}, nil, &all)
		for range 10 { // one after the other
			if err := p.hold(&pageHeader{Kind: kind, Uncompressed: size}); err != nil {
				return err
			}
		}
		return nil
	}
	for range maxPages / maxPage {
		if err := hold(pageData, maxPage); err != nil {
			t.Fatal(err)
		}
	}
	if err := hold(pageDictionary, 1); err == nil || !strings.Contains(err.Error(), "more than 1024 MB") {
		t.Errorf("%v", err)
	}
}
