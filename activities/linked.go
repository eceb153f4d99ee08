package activities

import (
	"context"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// linked are profiles that are suppressed by an identifier which only some of their rows have,
// by key. In a hybrid project they are known by their address too.
type linked map[snapshot.Key]struct{}

// add adds a profile.
func (l linked) add(address, userID []byte, project string) error {
	if len(l) >= snapshot.MaxProfiles {
		return snapshot.ErrTooMany
	}
	l[batch.KeyHash(address, userID, project)] = struct{}{}
	if project == schemas.ProjectHybrid && len(address) > 0 {
		l[addressKey(address)] = struct{}{}
	}
	return nil
}

// has reports whether a profile is linked, by its key or its address.
func (l linked) has(address, userID []byte, project string) bool {
	if len(l) == 0 {
		return false
	}
	if _, ok := l[batch.KeyHash(address, userID, project)]; ok {
		return true
	}
	if project != schemas.ProjectHybrid || len(address) == 0 {
		return false
	}
	_, ok := l[addressKey(address)]
	return ok
}

// linkMember notes a member of the snapshot that is suppressed and has two identifiers: a row
// that lacks one of them is about the same person.
func (s *staging) linkMember(m *snapshot.Member) error {
	if len(m.Email) == 0 || len(m.UserID) == 0 || !s.isListed(m.Email, m.UserID) {
		return nil
	}
	return s.linkedMembers.add(m.Email, m.UserID, s.in.Connection.ProjectType)
}

// linkRows notes the suppressed rows of the segment, before any row is staged: another row of
// the same profile may lack the identifier. If rows have only one, that is not necessary.
func (s *staging) linkRows(ctx context.Context, seg *segment.Segment) error {
	if s.suppressed.Len() == 0 || s.emailColumn < 0 || s.userColumn < 0 {
		return nil
	}
	for b, err := range seg.ReadIdentities(ctx) {
		if err == nil {
			err = s.linkRecord(b)
		}
		if err != nil {
			return err
		}
	}
	t := seg.Traffic()
	s.traffic.Bytes, s.traffic.Requests = s.traffic.Bytes+t.Bytes, s.traffic.Requests+t.Requests
	return nil
}

func (s *staging) linkRecord(b segment.Batch) error {
	emails, users, err := s.identifiers(b)
	if err != nil {
		return err
	}
	for i := range int(b.NumRows()) {
		s.group.arena = s.group.arena[:0]
		var p snapshot.Profile
		_, _, reason := s.identify(&p, i, emails, users)
		if reason != "" && s.named(&p, i, users) == nil {
			continue
		}
		if reason != "" && s.isListedRaw(i, emails, users) || len(p.Email) > 0 && len(p.UserID) > 0 && s.isListed(p.Email, p.UserID) {
			if err := s.linkedRows.add(p.Email, p.UserID, s.in.Connection.ProjectType); err != nil {
				return err
			}
		}
	}
	s.group.arena = s.group.arena[:0]
	return nil
}

// isSuppressed reports whether a person is on a suppression list by any identifier of the row
// or member, or by one of another row of the same profile. Where an identifier is missing, the
// one that the profile had at the last run counts.
func (s *staging) isSuppressed(address, userID []byte) bool {
	if s.suppressed.Len() == 0 {
		return false
	}
	project := s.in.Connection.ProjectType
	if s.isListed(address, userID) || s.linkedRows.has(address, userID, project) {
		return true
	}
	return (len(address) == 0 || len(userID) == 0) && s.linkedMembers.has(address, userID, project)
}

// isListed reports whether a person is on a suppression list by one of these identifiers.
func (s *staging) isListed(address, userID []byte) bool {
	if len(userID) > 0 && s.suppressed.Has(suppression.UserID(userID)) {
		return true
	}
	if len(address) == 0 {
		return false
	}
	if s.suppressed.Has(suppression.Address(address)) {
		return true
	}
	other, differs := email.Unicode(address) // a hashed list may have this form
	return differs && s.suppressed.Has(suppression.Address(other))
}

// isListedRaw reports whether row i, which is rejected, is on a suppression list by an
// identifier as it stands in the file.
func (s *staging) isListedRaw(i int, emails, users *segment.StringColumn) bool {
	if s.suppressed.Len() == 0 {
		return false
	}
	if emails != nil {
		raw, _ := emails.Bytes(i)
		address, reason := email.Normalize(raw, nil, email.Options{AllowUnknownTLD: true})
		if reason == "" && s.isListed(address, nil) || len(raw) > 0 && s.suppressed.Has(suppression.Address(raw)) {
			return true
		}
	}
	if users == nil {
		return false
	}
	raw, ok := users.Bytes(i)
	return ok && len(raw) > 0 && s.suppressed.Has(suppression.UserID(raw))
}
