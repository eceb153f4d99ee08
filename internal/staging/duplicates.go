package staging

import (
	"context"
	"errors"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// rowSet is a set of rows, by file.
type rowSet map[int32]*roaring64.Bitmap

func (s rowSet) has(at position) bool {
	rows := s[at.file]
	return rows != nil && rows.Contains(uint64(at.row))
}

func (s rowSet) add(at position) {
	if s[at.file] == nil {
		s[at.file] = roaring64.New()
	}
	s[at.file].Add(uint64(at.row))
}

// decide reads the identities once, before the segment is staged, and finds the rows that
// dedupe does not keep. Rows that can't be sent because of an identifier do not count; whether
// a data field can be sent is not known yet.
func (s *staging) decide(ctx context.Context, seg *segment.Segment, tempDir string) (err error) {
	if s.in.Segment.Of != "" || s.export.Dedupe.Keep == "" && !s.tried.byValue() {
		return nil // DivideSegment has decided, or the first row counts
	}
	found := snapshot.NewDuplicates(tempDir, 0)
	defer func() { err = errors.Join(err, found.Close()) }()
	for b, err := range seg.ReadIdentities(ctx) {
		if err != nil {
			return err
		}
		if err := s.ranked(b, found); err != nil {
			return err
		}
	}
	t := seg.Traffic()
	s.traffic.Bytes, s.traffic.Requests = s.traffic.Bytes+t.Bytes, s.traffic.Requests+t.Requests
	s.losers, err = losersOf(found, s.export.Dedupe.Keep)
	return err
}

// losersOf returns the rows that dedupe does not keep. Without a rule they are all but the first
// of each profile.
func losersOf(found *snapshot.Duplicates, keep string) (rowSet, error) {
	compare := func(a, b []byte) int { return segment.DecodeRank(a).Compare(segment.DecodeRank(b)) }
	switch keep {
	case schemas.KeepNone:
		compare = nil
	case schemas.KeepOldest:
		compare = oldest
	}
	losers := rowSet{}
	return losers, found.Each(compare, func(at snapshot.Place) error {
		losers.add(position{at.File, at.Row})
		return nil
	})
}

// oldest ranks lower values higher. A row without a value has the lowest rank here too.
func oldest(a, b []byte) int {
	x, y := segment.DecodeRank(a), segment.DecodeRank(b)
	if x == (segment.Rank{}) || y == (segment.Rank{}) {
		return x.Compare(y)
	}
	return y.Compare(x)
}

// ranked adds the rows of a record that can be sent, as far as their identifiers go.
func (s *staging) ranked(b segment.Batch, found *snapshot.Duplicates) error {
	emails, users, err := s.identifiers(b)
	if err != nil {
		return err
	}
	rank := func(int) segment.Rank { return segment.Rank{} }
	if s.byColumn >= 0 {
		if rank, err = segment.Ranks(b.Column(s.byColumn)); err != nil {
			return err
		}
	}
	var encoded []byte
	for i := range int(b.NumRows()) {
		if b.Match != nil && !b.Match[i] {
			continue
		}
		r := s.identifyRow(i, emails, users)
		if r.reason != "" {
			continue
		}
		key := batch.KeyHash(r.email, r.userID, s.in.Connection.ProjectType)
		encoded = rank(i).Append(encoded[:0])
		file, row := b.At(i)
		if err := found.Add(key, snapshot.Place{File: file, Row: row}, encoded); err != nil {
			return err
		}
	}
	return nil
}

// lose rejects a row that dedupe does not keep. Of rows that are ambiguous, the profile stays
// on the list as it is.
func (s *staging) lose(at position, p *snapshot.Profile) {
	r := refusedRow{at: at, column: s.emailName, value: p.Email, reason: schemas.ReasonDuplicate}
	if len(p.Email) == 0 {
		r.column, r.value = s.userName, p.UserID
	}
	r.value = s.group.arena.own(r.value)
	if s.export.Dedupe.Keep == schemas.KeepNone {
		key := batch.KeyHash(p.Email, p.UserID, s.in.Connection.ProjectType)
		r.reason, r.key = schemas.ReasonAmbiguous, &key
	}
	s.refuse(r)
}
