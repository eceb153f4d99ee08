package rejects

import "fmt"

// Source gives rows in the order of the segment: by file, then by row.
type Source interface {
	Next() (Reject, bool)
	Err() error
}

// Slice is a Source of rows that are in memory.
func Slice(rows []Reject) Source { return &slice{rows} }

type slice struct{ rows []Reject }

func (s *slice) Next() (Reject, bool) {
	if len(s.rows) == 0 {
		return Reject{}, false
	}
	r := s.rows[0]
	s.rows = s.rows[1:]
	return r, true
}

func (s *slice) Err() error { return nil }

// Merge writes the rows of the sources in the order of the segment, whose files
// are given in their order.
func Merge(dst *Writer, files []string, sources ...Source) error {
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f] = i
	}
	heads := make([]*Reject, len(sources))
	advance := func(i int) error {
		heads[i] = nil
		if r, ok := sources[i].Next(); ok {
			heads[i] = &r
			return nil
		}
		if err := sources[i].Err(); err != nil {
			return fmt.Errorf("merge rejects: %w", err)
		}
		return nil
	}
	for i := range sources {
		if err := advance(i); err != nil {
			return err
		}
	}
	for {
		first := -1
		for i, h := range heads {
			if h != nil && (first < 0 || before(h, heads[first], order)) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if err := dst.Add(*heads[first]); err != nil {
			return err
		}
		if err := advance(first); err != nil {
			return err
		}
	}
}

func before(a, b *Reject, order map[string]int) bool {
	if a.File != b.File {
		return order[a.File] < order[b.File]
	}
	return a.Row < b.Row
}
