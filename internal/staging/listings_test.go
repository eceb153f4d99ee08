package staging

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"iterable-segment-export/internal/suppression"
)

// TestIdentitiesAreReadOnceForAllLists: as long as a list of the segment is staged, by the same
// suppression lists.
func TestIdentitiesAreReadOnceForAllLists(t *testing.T) {
	var shared Listings
	reads := 0
	read := func() (*listed, error) {
		reads++
		return &listed{}, nil
	}
	set, changed := new(suppression.Set), new(suppression.Set)
	find := func(of string, set *suppression.Set) *listed {
		t.Helper()
		found, err := shared.find(of, set, read)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := find("a", set)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if found, err := shared.find("a", set, read); found != first || err != nil {
				t.Errorf("another list has its own: %v", err)
			}
		})
	}
	wg.Wait()
	if reads != 1 {
		t.Errorf("read %d times for one segment", reads)
	}
	for i, one := range []struct {
		of  string
		set *suppression.Set
	}{{"b", set}, {"b", changed}, {"", changed}, {"", changed}} {
		if kept := find(one.of, one.set); reads != 2+i || kept == first {
			t.Errorf("%q: read %d times, want %d", one.of, reads, 2+i)
		}
	}
	if _, err := shared.find("c", set, func() (*listed, error) { return nil, errors.New("no data root") }); err == nil {
		t.Error("an error is lost")
	}
	find("c", set)
	if reads != 6 {
		t.Errorf("a failed reading counts: %d", reads)
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(set)
	runtime.KeepAlive(changed)
}
