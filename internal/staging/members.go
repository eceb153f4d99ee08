package staging

import (
	"context"
	"fmt"
	"path"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// vanished handles a member with a key that no row of the segment has.
func (s *staging) vanished(m *snapshot.Member) error {
	if s.forgotten.Has(m.Email, m.UserID, s.in.Connection.ProjectType) {
		if m.Fields != snapshot.Unconfirmed {
			s.manifest.Forgotten++
		}
		s.gone = append(s.gone, m.Key[:]...)
		return nil
	}
	if s.isSuppressed(m.Email, m.UserID) {
		s.manifest.SuppressedRemovals++
		if m.Fields == snapshot.Unconfirmed {
			s.manifest.UnconfirmedRemovals++
		}
		return s.stageRemoval(m, true)
	}
	if m.Fields == snapshot.Unconfirmed {
		if s.mirror {
			s.manifest.Unconfirmed++ // something else may have added it
		}
		return nil
	}
	if s.identities != nil && len(m.Email) > 0 {
		return s.identities.Vanished(batch.AddressKey(m.Email), m)
	}
	return s.remove(m)
}

// fate handles a vanished member with an address.
func (s *staging) fate(m *snapshot.Member, f snapshot.Fate) error {
	switch f {
	case snapshot.Gone:
		return s.remove(m)
	case snapshot.Superseded:
		s.manifest.Superseded++
		return s.superseded.Append(batch.Profile{Email: m.Email, UserID: m.UserID, Key: m.Key, Fields: m.Fields})
	}
	return nil
}

// remove stages the removal of a member that left the segment.
func (s *staging) remove(m *snapshot.Member) error {
	if !s.mirror {
		return nil
	}
	return s.stageRemoval(m, false)
}

// stageRemoval stages the removal of a member. It uses only the project's identifier: an
// address that the member once had may belong to another profile now.
func (s *staging) stageRemoval(m *snapshot.Member, suppressed bool) error {
	p := batch.Profile{Email: m.Email, UserID: m.UserID, Key: m.Key, Fields: m.Fields}
	switch project := s.in.Connection.ProjectType; {
	case project != schemas.ProjectUserID && project != schemas.ProjectHybrid:
		p.UserID = nil
	case len(p.UserID) > 0:
		p.Email = nil
	}
	s.manifest.Removals++
	s.examples.removal(m)
	if err := s.removes.Append(p); err != nil {
		return err
	}
	s.recording.Removed(suppressed)
	return nil
}

// compareIdentities prepares for people who are known by an address and by a user
// id.
func (stager *Stager) compareIdentities(ctx context.Context, s *staging, body batch.BodyOptions) (err error) {
	s.identities = snapshot.NewIdentities(stager.TempDir, 0)
	if s.supersededFile, err = stager.Root.Create(ctx, path.Join(s.dir, ledger.SupersededFile)); err != nil {
		return fmt.Errorf("make the staged files: %w", err)
	}
	s.superseded, err = batch.NewWriter(s.supersededFile, stager.batchLimits(s.in.Connection.Limits), batch.Options{Body: body, Unsubscribe: true})
	return err
}

// present records the address of a row that is sent, or unchanged on the list.
func (s *staging) present(p *snapshot.Profile) error {
	if s.identities == nil || len(p.Email) == 0 {
		return nil
	}
	return s.identities.Row(batch.AddressKey(p.Email))
}

// stays records the address that a member named by a row had at the last run.
func (s *staging) stays(m *snapshot.Member) error {
	if len(m.Email) == 0 {
		return nil
	}
	return s.identities.Stays(batch.AddressKey(m.Email))
}
