package rejects

import (
	"fmt"
	"math"
)

// Source returns rows in the order of the segment: by file, then by row.
type Source interface {
	Next() (Reject, bool)
	Err() error
}

// Merge writes the rows of all sources in the order of the segment, which each source has.
// files are the segment's, in their order; rows of other files come last. Of two rows at the
// same place, that of the earlier source comes first.
func Merge(dst *Writer, files []string, sources ...Source) error {
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f] = i
		order[ReadableName(f)] = i // as it is in a rejects file
	}
	heads := make([]head, 0, len(sources))
	for _, s := range sources {
		h := head{source: s}
		more, err := h.advance(order)
		if err != nil {
			return err
		}
		if more {
			heads = append(heads, h)
		}
	}
	for len(heads) > 0 {
		first := 0
		for i := range heads {
			if heads[i].before(&heads[first]) {
				first = i
			}
		}
		if err := dst.Add(heads[first].row); err != nil {
			return err
		}
		more, err := heads[first].advance(order)
		if err != nil {
			return err
		}
		if !more {
			heads = append(heads[:first], heads[first+1:]...)
		}
	}
	return nil
}

// head is the next row of a source.
type head struct {
	source Source
	row    Reject
	file   int // the position of its file
}

func (h *head) advance(order map[string]int) (bool, error) {
	row, ok := h.source.Next()
	if !ok {
		if err := h.source.Err(); err != nil {
			return false, fmt.Errorf("merge rejects: %w", err)
		}
		return false, nil
	}
	if row.File != h.row.File || h.row.File == "" {
		place, known := order[row.File]
		if !known {
			place = math.MaxInt
		}
		h.file = place
	}
	h.row = row
	return true, nil
}

func (h *head) before(other *head) bool {
	if h.file != other.file {
		return h.file < other.file
	}
	return h.row.Row < other.row.Row
}
