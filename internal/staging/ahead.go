package staging

import (
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// ahead are some rows whose identifiers are read before the first of them is staged, so that they
// are looked up in the suppression lists together, which is faster than one by one.
type ahead struct {
	rows      []identified
	addresses [groupRows][]byte // buffers for their addresses
	arena     arena             // their user IDs

	hashes []suppression.Hash
	of     []int // the row of each hash
	found  []bool
}

// identified is row i of a record with its identifiers, or with the column and the value at fault.
// They are valid until other rows are read.
type identified struct {
	i             int
	filtered      bool
	email, userID []byte
	column        string
	value         []byte
	reason        schemas.Reason
	listed        bool // on a suppression list, if it has valid identifiers
}

// profile returns the profile of a row, as far as it is known.
func (r *identified) profile(at position) snapshot.Profile {
	return snapshot.Profile{Member: snapshot.Member{Email: r.email, UserID: r.userID}, File: at.file, Row: at.row}
}

// arena has bytes that are valid until it is emptied.
type arena []byte

// own copies bytes into the arena.
func (a *arena) own(b []byte) []byte {
	start := len(*a)
	*a = append(*a, b...)
	return (*a)[start:len(*a):len(*a)]
}

// readAhead reads up to groupRows rows, from row first of a record to before row end.
func (s *staging) readAhead(first, end int, emails, users *segment.StringColumn, leavesOut func(i int) (bool, error)) error {
	a := &s.ahead
	a.rows, a.arena = a.rows[:0], a.arena[:0]
	for i := first; i < min(end, first+groupRows); i++ {
		filtered, err := leavesOut(i)
		if err != nil {
			return err
		}
		a.rows = append(a.rows, identified{i: i, filtered: filtered})
		if !filtered || s.recordsFiltered() {
			s.identify(&a.rows[len(a.rows)-1], emails, users)
		}
	}
	return nil
}

// identifyRow returns one row with its identifiers.
func (s *staging) identifyRow(i int, emails, users *segment.StringColumn) (r identified) {
	s.ahead.arena = s.ahead.arena[:0]
	r.i = i
	s.identify(&r, emails, users)
	return r
}

// lookUp looks the rows that were read up in the suppression lists.
func (s *staging) lookUp() {
	a := &s.ahead
	a.hashes, a.of = a.hashes[:0], a.of[:0]
	for k := range a.rows {
		r := &a.rows[k]
		if r.filtered || r.reason != "" {
			continue
		}
		a.hashes = s.entries(a.hashes, r.email, r.userID)
		for len(a.of) < len(a.hashes) {
			a.of = append(a.of, k)
		}
	}
	a.found = s.suppressed.Set.Find(a.hashes, a.found)
	for i, found := range a.found {
		if found {
			a.rows[a.of[i]].listed = true
		}
	}
}
