package staging

import (
	"bytes"

	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// left records a row that is not compared.
func (s *staging) left(r refusedRow) error {
	outcome := schemas.OutcomeFiltered // already counted
	switch r.reason {
	case schemas.ReasonFiltered:
	case schemas.ReasonSuppressed:
		s.manifest.Suppressed++
		outcome = schemas.OutcomeSuppressed
	default:
		if err := s.reject(r.at, r.column, r.value, r.reason); err != nil || len(r.email)+len(r.userID) == 0 {
			return err
		}
		outcome = schemas.OutcomeRejected
	}
	p := snapshot.Profile{Member: snapshot.Member{Email: r.email, UserID: r.userID}, File: r.at.file, Row: r.at.row}
	return s.recording.Row(&p, outcome)
}

// reject records a row that is not sent.
func (s *staging) reject(at position, column string, value []byte, reason schemas.Reason) error {
	if reason == schemas.ReasonDuplicate {
		s.manifest.Duplicates++
	} else {
		s.manifest.Rejected[reason]++
	}
	r := rejects.Reject{File: s.names[at.file], Row: at.row, Column: column, Value: value, Reason: reason}
	s.examples.reject(r)
	return s.rejects.Add(r)
}

// rejectProfile records a row that is not sent, by its address or else its user ID.
func (s *staging) rejectProfile(p *snapshot.Profile, reason schemas.Reason) error {
	name, value := s.emailName, p.Email
	if len(value) == 0 {
		name, value = s.userName, p.UserID
	}
	return s.reject(position{file: p.File, row: p.Row}, name, value, reason)
}

// leave adds a row to those that are not compared, with its person.
func (s *staging) leave(p *snapshot.Profile, at position, reason schemas.Reason) {
	s.refusePerson(p, refusedRow{at: at, reason: reason})
}

// refusePerson adds a row to the rows to reject, with its person for the record.
func (s *staging) refusePerson(p *snapshot.Profile, r refusedRow) {
	if s.recording != nil {
		r.email, r.userID = s.group.arena.own(p.Email), s.group.arena.own(p.UserID)
	}
	s.refuse(r)
}

// filter adds a row that the segment's condition leaves out, of a trial only if it names the person.
func (s *staging) filter(at position, r *identified, users *segment.StringColumn) {
	p := r.profile(at)
	if s.tried.leavesOut(&p, r.value, r.i, users) {
		return
	}
	p.Email, p.UserID = s.recorded(r, users)
	s.leave(&p, at, schemas.ReasonFiltered)
}

// mostRecorded is the size limit of an invalid identifier in the record of a filtered row, in bytes.
const mostRecorded = 4 << 10

// recorded returns the identifiers of a filtered row for the record: the valid ones or else the
// value at fault, as of a rejected row.
func (s *staging) recorded(r *identified, users *segment.StringColumn) (address, userID []byte) {
	address, userID = r.email, r.userID
	if r.reason == "" {
		return address, userID
	}
	if users != nil && len(userID) == 0 {
		if raw, ok := users.Bytes(r.i); ok && mapping.CheckUserID(raw) == "" {
			userID = raw
		}
	}
	switch value := r.value; {
	case len(address)+len(userID) > 0 || len(value) > mostRecorded:
	case r.column == s.emailName:
		address = record.Comparable(bytes.TrimSpace(value))
	default:
		userID = value
	}
	return address, userID
}
