package delta

import (
	"strings"
	"testing"
)

// TestALogTakesBoundedMemory: what a log says of files is kept until the table is read, so that
// paths and partition values without end would fill the worker's memory. Statistics are left out
// in time: without them a file is read as a whole.
func TestALogTakesBoundedMemory(t *testing.T) {
	const most = 64 // files, far fewer than a table may have
	long, stats := strings.Repeat("x", maxText/most), strings.Repeat("s", maxText/most*4)
	name := func(i int) string { return strings.Repeat("p", i+1) }
	for what, of := range map[string]func(i int) *add{
		"paths":            func(i int) *add { return &add{Path: long[i:]} },
		"partition values": func(i int) *add { return &add{Path: name(i), PartitionValues: map[string]*string{"p": &long}} },
		"partitions":       func(i int) *add { return &add{Path: name(i), PartitionValues: map[string]*string{long: nil}} },
	} {
		s := state{adds: map[string]*add{}}
		var err error
		for i := 0; i <= most && err == nil; i++ {
			err = s.apply(&action{Add: of(i)})
		}
		if err == nil || !strings.Contains(err.Error(), "more than 256 MB") {
			t.Errorf("%s: %v", what, err)
		}
	}
	s := state{adds: map[string]*add{}, statistics: true}
	kept := 0
	for i := range most {
		if err := s.apply(&action{Add: &add{Path: name(i), Stats: stats}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range most / 2 {
		if err := s.apply(&action{Remove: &add{Path: name(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range s.adds {
		if a.Stats != "" {
			kept++
		}
	}
	if kept != 0 || s.stats != 0 || len(s.adds) != most/2 {
		t.Errorf("%d statistics of %d files are kept, %d bytes", kept, len(s.adds), s.stats)
	}
	if err := s.apply(&action{Add: &add{Path: "last", Stats: stats}}); err != nil || s.stats != len(stats) {
		t.Errorf("there is room again: %v, %d bytes", err, s.stats)
	}
}
