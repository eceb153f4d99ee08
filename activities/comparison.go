package activities

import (
	"context"
	"fmt"
	"path"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// comparison is the snapshot that a segment is compared with, and how.
type comparison struct {
	openedSnapshot
	// full sends all profiles, even unchanged ones.
	full     bool
	again    string // a Manifest's SentAgain
	handover string // a Manifest's Handover
	warnings []string
}

// compareWith opens the snapshot and decides whether all profiles must be sent.
func (a *Activities) compareWith(ctx context.Context, in schemas.StageInput, now time.Time) (c comparison, err error) {
	var warning string
	if in.Check {
		if restored, err := a.restoredLater(ctx, in); err != nil {
			return c, err
		} else if restored {
			in.IgnoreSnapshot = true
			defer func() { c.again, c.warnings = restoredAgain, []string{restoredAgain + restoredThen} }()
		}
	}
	if c.openedSnapshot, c.again, warning, err = a.openSnapshot(ctx, in); err != nil {
		return c, err
	}
	c.warn(warning)
	if c.handover, err = a.handover(ctx, in); err != nil {
		return c, err
	}
	if c.Snapshot == nil {
		c.full = true
		return c, nil
	}
	switch {
	case c.handover != "":
		c.full, c.again = true, "the list was handed to this export after its last run"
		c.warn(c.again + "; all profiles are sent again")
	case c.Header().Restored:
		c.full, c.again = true, restoredAgain
		c.warn(restoredAgain + restoredThen)
	case c.MappingChanged():
		c.full, c.again = true, "the mapping is not the one of the last run"
		c.warn(c.again + "; all profiles are sent again")
	case in.Full, fullDue(in.Export.FullEvery, c.Header().FullAt, now):
		c.full = true
		if in.Check { // a run does not ask for that
			c.again = "it is a full run, as --full or fullEvery says"
		}
	}
	if in.Check {
		unfinished, err := a.unfinished(ctx, in)
		if err != nil {
			return c, err
		}
		if unfinished {
			c.warn("a run of this segment is in progress or unfinished; what it sends is not included")
		}
	}
	return c, nil
}

func (c *comparison) warn(warning string) {
	if warning != "" {
		c.warnings = append(c.warnings, warning)
	}
}

// fullDue reports whether the last full run is older than the export allows. An unknown time
// is.
func fullDue(every schemas.Duration, last, now time.Time) bool {
	return every > 0 && now.Sub(last) >= time.Duration(every)
}

// unfinished reports whether a run may have sent what the snapshot does not know.
func (a *Activities) unfinished(ctx context.Context, in schemas.StageInput) (bool, error) {
	found, err := a.unfinishedRuns(ctx, in.Run)
	for _, p := range found {
		if p.ListID == in.ListID {
			return true, err
		}
	}
	return false, err
}

// noSnapshot returns what to report if there is no snapshot: nothing at a first run.
func noSnapshot(in schemas.StageInput) (again, warning string) {
	switch {
	case in.ListSize == 0:
		return "", ""
	case in.ListOurs:
		again = fmt.Sprintf("the snapshot of list %d is lost", in.ListID)
		return again, again + "; all profiles are sent and none is removed: " +
			"members that left the segment since the last run stay on the list until you remove them in Iterable"
	case in.ListSize < 0:
		return "", fmt.Sprintf("list %d may have members that no run of this export is known to have added; they are not removed", in.ListID)
	default:
		return "", fmt.Sprintf("list %d has %d members that no run of this export is known to have added; they are not removed",
			in.ListID, in.ListSize)
	}
}

// supersededFile holds members of the snapshot that are in the segment under another key,
// in hybrid projects.
const supersededFile = "superseded.arrow"

// addressKey returns the key by which addresses are compared in hybrid projects.
func addressKey(email []byte) snapshot.Key {
	return batch.KeyHash(email, nil, schemas.ProjectEmail)
}

// vanished handles a member with a key that no row of the segment has.
func (s *staging) vanished(m *snapshot.Member) error {
	if s.forgotten.has(m.Email, m.UserID, s.in.Connection.ProjectType) {
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
		return s.identities.Vanished(addressKey(m.Email), m)
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
	s.recording.removed(suppressed)
	return nil
}

// compareIdentities prepares for people who are known by an address and by a user
// id.
func (a *Activities) compareIdentities(ctx context.Context, s *staging, body batch.BodyOptions) (err error) {
	s.identities = snapshot.NewIdentities(a.TempDir, 0)
	if s.supersededFile, err = a.Root.Create(ctx, path.Join(s.dir, supersededFile)); err != nil {
		return fmt.Errorf("make the staged files: %w", err)
	}
	s.superseded, err = batch.NewWriter(s.supersededFile, a.batchLimits(s.in.Connection.Limits), batch.Options{Body: body, Unsubscribe: true})
	return err
}

// present records the address of a row that is sent, or unchanged on the list.
func (s *staging) present(p *snapshot.Profile) error {
	if s.identities == nil || len(p.Email) == 0 {
		return nil
	}
	return s.identities.Row(addressKey(p.Email))
}

// stays records the address that a member named by a row had at the last run.
func (s *staging) stays(m *snapshot.Member) error {
	if len(m.Email) == 0 {
		return nil
	}
	return s.identities.Stays(addressKey(m.Email))
}
