package staging

import (
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// columns finds the identifying columns.
func (s *staging) columns(seg *segment.Segment) {
	for i, c := range seg.Columns {
		switch c.Role {
		case segment.Email:
			s.emailColumn, s.emailName = i, c.Name
		case segment.UserID:
			s.userColumn, s.userName = i, c.Name
		case segment.By:
			s.byColumn = i
		}
	}
}

// position is where a row stands in the segment.
type position struct {
	file int32
	row  int64
}

// at returns the position of row i of a batch.
func at(b segment.Batch, i int) position {
	file, row := b.At(i)
	return position{file, row}
}

// identifiers returns the columns of a record that identify profiles, nil where not mapped.
func (s *staging) identifiers(rec segment.Batch) (emails, users *segment.StringColumn, err error) {
	if s.emailColumn >= 0 {
		if emails, err = segment.NewStringColumn(rec.Column(s.emailColumn)); err != nil {
			return nil, nil, err
		}
	}
	if s.userColumn >= 0 {
		users, err = segment.NewStringColumn(rec.Column(s.userColumn))
	}
	return emails, users, err
}

// identify reads the identifiers of a row: the address, the user ID or both, as the project
// requires. If one is not valid, it sets the column, the value and the reason.
func (s *staging) identify(r *identified, emails, users *segment.StringColumn) {
	project := s.in.Connection.ProjectType
	fails := func(column string, value []byte, reason schemas.Reason) {
		r.column, r.value, r.reason = column, value, reason
	}
	if emails != nil {
		raw, _ := emails.Bytes(r.i)
		buffer := &s.ahead.addresses[r.i%groupRows]
		if *buffer == nil {
			*buffer = make([]byte, 0, 256)
		}
		var reason schemas.Reason
		r.email, reason = email.Normalize(raw, *buffer, email.Options{AllowUnknownTLD: s.export.AllowUnknownTLD})
		missing := reason == schemas.ReasonMissing && project != schemas.ProjectEmail && users != nil
		if reason != "" && !missing {
			fails(s.emailName, raw, reason)
			return
		}
	}
	if users == nil {
		return
	}
	raw, ok := users.Bytes(r.i)
	if (!ok || len(raw) == 0) && len(r.email) > 0 && project != schemas.ProjectUserID {
		return // an optional one that is not there
	}
	if len(raw) <= mostDigits {
		raw = s.ahead.arena.own(raw) // a number's digits lie in a buffer of the column's
	}
	if reason := mapping.CheckUserID(raw); reason != "" {
		fails(s.userName, raw, reason)
		return
	}
	r.userID = raw
}

// named returns the key of a rejected row with valid identifiers, or nil: its profile has
// not left the segment.
func (s *staging) named(p *snapshot.Profile, i int, users *segment.StringColumn) *[16]byte {
	project := s.in.Connection.ProjectType
	if users != nil && len(p.Email) == 0 && project != schemas.ProjectEmail {
		if raw, ok := users.Bytes(i); ok && mapping.CheckUserID(raw) == "" {
			p.UserID = raw
		}
	}
	if project == schemas.ProjectUserID && len(p.UserID) == 0 || len(p.Email)+len(p.UserID) == 0 {
		return nil
	}
	key := batch.KeyHash(p.Email, p.UserID, project)
	return &key
}
