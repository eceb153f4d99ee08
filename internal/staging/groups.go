package staging

import (
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// elsewhere reports whether a row belongs to another group of the segment. A row without valid
// identifiers has a group too, by the value that is at fault, so that one group counts it.
func (s *staging) elsewhere(p *snapshot.Profile, value []byte, reason schemas.Reason) bool {
	g := s.in.Segment.Group
	if g == nil {
		return false
	}
	if reason != "" {
		return !batch.InGroup(batch.KeyHash(value, nil, schemas.ProjectEmail), g)
	}
	return !batch.InGroup(batch.KeyHash(p.Email, p.UserID, s.in.Connection.ProjectType), g)
}
