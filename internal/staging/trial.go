package staging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// tried selects the rows of a trial. A nil one selects all.
type tried struct {
	people *trial.People // nil selects everyone; only the reading goroutine uses it
	limit  int64
	// division has the lists of the segment that is tried, nil if it has one.
	division *division
	// sent and over count the rows that the comparing goroutine has staged, and those that it
	// left out after the limit.
	sent, over int64
	// enough is set once no further row can be of interest.
	enough atomic.Bool
}

// errEnough ends the reading of a segment of which a trial has enough.
var errEnough = errors.New("the trial has its profiles")

// newTried reads what the segment's trial selects. It returns nil if it is not a trial.
func (stager *Stager) newTried(ctx context.Context, in schemas.StageInput, seg *segment.Segment) (_ *tried, err error) {
	of := in.Segment.Trial
	if of == nil {
		return nil, nil
	}
	t := &tried{limit: min(of.Limit, schemas.MostTried)}
	if s, ok := of.Divided(); ok {
		t.division = newDivision(schemas.DivideInput{Run: in.Run, Export: in.Export, Segment: s, Connection: in.Connection}, seg)
		if err := t.division.noIdentity(); err != nil {
			return nil, err
		}
	}
	if of.People == "" {
		return t, nil
	}
	t.people, err = trial.Read(ctx, stager.Root, in.Run.Connection, in.Run.Export, of.People)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, step.NeedOperator(schemas.ErrorStaging, "the data root does not have the people of this trial: "+
			"they are kept for two days, in the data root of who started it, which must be that of the workers; start the trial again")
	}
	return t, err
}

// linkTried notes which profiles the runs of the export that is tried know by a suppressed identifier,
// on any list of the segment: a row that lacks it is about the same person. What a list surely has now
// counts more than what was recorded before.
//
// A run may end meanwhile. It stores what it removes in its linkedFile and then publishes its snapshot,
// and DivideSegment moves the entries from the lists to the segment. So the snapshots are read first,
// then the linkedFiles of the lists, and that of the segment last. They are also read before: only the
// profiles that they have are looked for in the snapshots.
func (stager *Stager) linkTried(ctx context.Context, s *staging) error {
	of := s.in.Segment.Trial
	if of == nil || s.suppressed.Set.Len() == 0 {
		return nil
	}
	run := s.in.Run
	run.Export, _ = schemas.TriedExport(run.Export)
	recorded := func() (linked, error) {
		found, run := linked{}, run
		for _, name := range slices.Concat(stager.Tried, []string{of.Of}) {
			run.Segment = name
			if err := s.readEarlier(ctx, ledger.Key(run, linkedFile), found); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return found, nil
	}
	before, err := recorded()
	if err != nil {
		return err
	}
	members, ended := linked{}, []snapshot.Key(nil)
	staged := func(m *snapshot.Member) error {
		entry, listed := s.listed(m.Email, m.UserID)
		if !listed || len(m.Email) == 0 || len(m.UserID) == 0 {
			return nil
		}
		return members.add(m.Email, m.UserID, s.in.Connection.ProjectType, entry)
	}
	member := func(m *snapshot.Member) error {
		if _, ok := before[m.Key]; ok && m.Fields != snapshot.Unconfirmed && len(m.Email) > 0 && len(m.UserID) > 0 && !s.isListed(m.Email, m.UserID) {
			ended = append(ended, m.Key)
		}
		return staged(m)
	}
	for _, list := range stager.Tried {
		run.Segment = list
		if err := stager.StagedToAdd(ctx, run, staged); err != nil {
			return err
		}
		if err := stager.Members(ctx, run, member); err != nil {
			return err
		}
	}
	known, err := recorded()
	if err != nil {
		return err
	}
	for _, k := range ended {
		delete(known, k)
	}
	maps.Copy(known, members)
	s.earlier = known
	return nil
}

// leavesOut reports whether the trial does not name the person of row i. value is the
// identifier that is at fault, if one is.
func (t *tried) leavesOut(p *snapshot.Profile, value []byte, i int, users *segment.StringColumn) bool {
	if t == nil || t.people == nil {
		return false
	}
	var raw []byte
	if users != nil && len(p.UserID) == 0 {
		raw, _ = users.Bytes(i)
	}
	return !t.people.Has(p.Email, p.UserID, value, raw)
}

// recordsFiltered reports whether rows that are filtered are recorded: of a trial, only those of
// the people that it names.
func (s *staging) recordsFiltered() bool {
	return s.recording.OfAll() && (s.tried == nil || s.tried.people != nil)
}

// filters returns a function that reports whether row i of a batch is left out: it does not match the
// segment's condition, or is for none of the lists of the segment that a trial tries. Its error says
// that a run would refuse these lists.
func (s *staging) filters(b segment.Batch, emails, users *segment.StringColumn) (func(i int) (bool, error), error) {
	unmatched := func(i int) bool { return b.Match != nil && !b.Match[i] }
	if s.tried == nil || s.tried.division == nil {
		return func(i int) (bool, error) { return unmatched(i), nil }, nil
	}
	d := s.tried.division
	listOf, err := d.lister(b, emails, users)
	return func(i int) (bool, error) {
		if unmatched(i) {
			return true, nil
		}
		list, err := listOf(i)
		if n := len(d.named); err == nil && n > d.mostLists() {
			err = step.NeedOperator(schemas.ErrorColumn, d.tooMany(n))
		}
		return list == "", err
	}, err
}

// byValue reports whether the segment that is tried has a list for each value of a column. Then the
// first row of a person counts even if it has no value, as in a run.
func (t *tried) byValue() bool { return t != nil && t.division != nil && t.division.value >= 0 }

// full reports whether the trial has staged enough.
func (t *tried) full() bool { return t != nil && t.sent >= t.limit }

// count counts a staged row.
func (t *tried) count() {
	if t == nil {
		return
	}
	t.sent++
	if t.full() && t.people == nil { // of named people it is still to be said where they are
		t.enough.Store(true)
	}
}

// hasEnough reports whether no further row is to be read.
func (t *tried) hasEnough() bool { return t != nil && t.enough.Load() }

// beyond handles a row that could be sent, after the limit.
func (s *staging) beyond(p *snapshot.Profile) error {
	s.tried.over++
	if s.tried.people == nil {
		return nil
	}
	return s.recording.Row(p, schemas.OutcomeFiltered)
}

// finishTrial counts what the trial left out, and records the people who are not in the segment.
func (s *staging) finishTrial() error {
	if s.tried == nil {
		return nil
	}
	s.manifest.Filtered += s.tried.over
	if s.tried.over > 0 && s.tried.people != nil {
		s.manifest.Warnings = append(s.manifest.Warnings, fmt.Sprintf("the trial sends %d profiles; %d rows of people that it names were left out", s.tried.limit, s.tried.over))
	}
	if s.tried.people == nil {
		return nil
	}
	return s.tried.people.Missing(func(address, userID []byte) error {
		return s.recording.Row(&snapshot.Profile{Member: snapshot.Member{Email: address, UserID: userID}}, schemas.OutcomeAbsent)
	})
}
