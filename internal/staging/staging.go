package staging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/forgotten"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// staging writes one segment to the staged files, one record batch at a time. Rows are
// copied only into the files.
type staging struct {
	in       schemas.StageInput
	root     *storage.Root
	dir      string // of the staged files
	mapping  uint64 // seeds the hashes of fields
	export   schemas.Export
	manifest schemas.Manifest
	mapper   *mapping.Mapper
	differ   *snapshot.Differ
	// identities is nil unless a profile could vanish by one identifier and be in
	// the segment by another.
	identities *snapshot.Identities
	examples   *examples // nil but in a check
	forgotten  forgotten.People
	suppressed Suppressed
	// inSegment is found in the segment before it is staged, nil if it was not looked for.
	// linkedMembers are found in the snapshot and in the linkedFile, whose content is linkedBefore.
	// earlier are those that the lists of a divided segment had before.
	inSegment     *listed
	earlier       linked
	linkedMembers linked
	linkedBefore  []byte
	recording     *record.Recording // nil if no record is kept
	gone          []byte            // keys of members who are forgotten
	tried         *tried            // nil but in a trial

	losers  rowSet          // rows that dedupe does not keep
	traffic storage.Traffic // of reading identities before

	names                   []string // of the segment's files
	emailColumn, userColumn int      // in the record, -1 where not mapped
	byColumn                int      // that orders rows, -1 without one
	emailName, userName     string
	ahead                   ahead     // rows to be staged next
	group                   *group    // is being filled
	comparer                *comparer // has the full groups
	adds, removes           *batch.Writer
	superseded              *batch.Writer // nil without identities
	rejects                 *rejects.Writer
	addsFile, removesFile   *storage.Writer
	rejectsFile             *storage.Writer
	supersededFile          *storage.Writer
	mirror                  bool
}

// newStaging opens the staged files and the comparison with the snapshot.
func (stager *Stager) newStaging(ctx context.Context, in schemas.StageInput, attempt string, seg *segment.Segment, old ledger.Comparison) (s *staging, err error) {
	s = &staging{
		in: in, root: stager.Root, dir: dataroot.StagedDir(in.Run, attempt), export: in.Export, names: seg.Files(), emailColumn: -1, userColumn: -1, byColumn: -1,
		linkedMembers: linked{}, forgotten: stager.Forgotten, suppressed: stager.Suppressed,
		mapping: batch.MappingSeed(in.Export.MappingFingerprint(in.Connection.ProjectType)),
	}
	s.manifest.Attempt = attempt
	s.manifest.Rejected = map[schemas.Reason]int64{}
	s.manifest.Warnings, s.manifest.Full = slices.Concat(old.Warnings, seg.Warnings(), stager.Suppressed.Warnings), old.Full
	s.manifest.SuppressionLists = stager.Suppressed.Lists
	s.manifest.SentAgain, s.manifest.Handover = old.Again, old.Handover
	if in.Check {
		s.examples = &examples{}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.columns(seg)
	if s.tried, err = stager.newTried(ctx, in, seg); err != nil {
		return s, err
	}
	if s.mapper, err = CompileMapping(s.export, in.Connection.Limits, seg); err != nil {
		return s, err
	}
	for name, file := range map[string]**storage.Writer{
		dataroot.AddsFile: &s.addsFile, dataroot.RemovesFile: &s.removesFile, dataroot.RejectsFile: &s.rejectsFile,
	} {
		if *file, err = stager.Root.Create(ctx, path.Join(s.dir, name)); err != nil {
			return s, fmt.Errorf("make the staged files: %w", err)
		}
	}
	body := batch.NewBodyOptions(in.ListID, in.Export.Settings, in.Connection.ProjectType)
	if s.adds, err = batch.NewWriter(s.addsFile, stager.batchLimits(in.Connection.Limits), batch.Options{Body: body}); err != nil {
		return s, err
	}
	if s.removes, err = batch.NewWriter(s.removesFile, stager.batchLimits(in.Connection.Limits), batch.Options{Body: body, Unsubscribe: true}); err != nil {
		return s, err
	}
	s.rejects = rejects.NewWriter(s.rejectsFile)
	if !in.Check {
		if s.recording, err = record.New(ctx, stager.Root, s.dir, in.Export); err != nil {
			return s, err
		}
	}
	s.manifest.SnapshotVersion = old.Version
	options := snapshot.Options{Rows: in.Info.Rows, ResendAll: old.Full}
	if old.Snapshot != nil {
		s.manifest.Members, s.manifest.Snapshot, s.manifest.LastProfiles = old.Header().Members(), old.Header().RunID, old.Header().Profiles
		s.manifest.UnconfirmedMembers = old.Header().Unconfirmed
		if in.Connection.ProjectType == schemas.ProjectHybrid {
			if err := stager.compareIdentities(ctx, s, body); err != nil {
				return s, err
			}
			options.Stays = s.stays
		}
	}
	if s.suppressed.Set.Len() > 0 {
		if err := s.readLinked(ctx); err != nil {
			return s, err
		}
		options.Member = s.linkMember
	}
	if s.differ, err = snapshot.NewDiffer(ctx, old.Snapshot, options, s.compared); err != nil {
		return s, err
	}
	s.comparer = newComparer(s.compareGroup)
	s.group = <-s.comparer.free
	return s, nil
}

// record stages one record batch of the segment.
func (s *staging) record(b segment.Batch) error {
	rec := b.Record
	if err := s.mapper.Bind(rec); err != nil {
		return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("%s: %v", s.names[b.File], err))
	}
	emails, users, err := s.identifiers(b)
	if err != nil {
		return err
	}
	leavesOut, err := s.filters(b, emails, users)
	if err != nil {
		return err
	}
	for first, rows := 0, int(rec.NumRows()); first < rows; first += groupRows {
		if err := s.readAhead(first, rows, emails, users, leavesOut); err != nil {
			return err
		}
		if s.suppressed.Set.Len() > 0 && s.inSegment == nil {
			s.lookUp()
		}
		if err := s.rowsAhead(b, users); err != nil {
			return err
		}
	}
	if err := s.hand(); err != nil || !s.tried.hasEnough() {
		return err
	}
	return errEnough
}

// rowsAhead stages the rows that were read ahead.
func (s *staging) rowsAhead(b segment.Batch, users *segment.StringColumn) error {
	for k := range s.ahead.rows {
		r := &s.ahead.rows[k]
		s.manifest.Read++
		if r.filtered {
			if s.manifest.Filtered++; !s.recordsFiltered() {
				continue
			}
		}
		if s.group.record == nil {
			b.Retain()
			s.group.record = b.Record
		}
		if at := at(b, r.i); r.filtered {
			s.filter(at, r, users)
		} else {
			s.row(at, r, users)
		}
		if s.group.full() {
			if err := s.hand(); err != nil {
				return err
			}
			if s.tried.hasEnough() {
				return errEnough
			}
		}
	}
	return nil
}

// hand passes the group to the comparer and continues with an empty one.
func (s *staging) hand() (err error) {
	s.group, err = s.comparer.hand(s.group) // nil after an error
	return err
}

// beyondRequest stands for data fields that are too large for any request and were not
// written out. Unlike all others it is not a JSON object.
var beyondRequest = []byte("beyond")

// row validates one row and adds it to the rows to compare or to reject.
func (s *staging) row(at position, r *identified, users *segment.StringColumn) {
	g := s.group
	p := r.profile(at)
	if s.tried.leavesOut(&p, r.value, r.i, users) {
		s.manifest.Filtered++
		return
	}
	if r.reason != "" {
		key := s.named(&p, r.i, users)
		if s.suppressesRow(at, r, &p) {
			s.leave(&p, at, schemas.ReasonSuppressed)
			return
		}
		s.refusePerson(&p, refusedRow{at: at, column: r.column, value: r.value, reason: r.reason, key: key})
		return
	}
	if s.forgotten.Has(p.Email, p.UserID, s.in.Connection.ProjectType) {
		column := s.emailName
		if column == "" {
			column = s.userName
		}
		s.refuse(refusedRow{at: at, column: column, reason: schemas.ReasonIterableForgotten})
		return
	}
	if s.suppressesRow(at, r, &p) {
		s.leave(&p, at, schemas.ReasonSuppressed)
		return
	}
	if s.losers.has(at) {
		s.lose(at, &p)
		return
	}
	p.Email, p.UserID = g.arena.own(p.Email), g.arena.own(p.UserID)
	if !s.mapper.Empty() {
		start := len(g.arena)
		data, invalid := s.mapper.Append(g.arena, r.i)
		switch {
		case invalid != nil && invalid.TooLarge:
			p.DataFields = beyondRequest
		case invalid != nil:
			// A bad value does not remove a profile that is in the segment.
			key := batch.KeyHash(p.Email, p.UserID, s.in.Connection.ProjectType)
			s.refusePerson(&p, refusedRow{at: at, column: invalid.Column, reason: schemas.ReasonInvalidValue, key: &key})
			return
		default:
			p.DataFields = data[start:len(data):len(data)]
			s.recording.LeftOut(s.mapper.Omitted(), at.file, at.row)
		}
		g.arena = data
	}
	p.Key = batch.KeyHash(p.Email, p.UserID, s.in.Connection.ProjectType)
	p.Fields = batch.FieldsHash(s.mapping, p.Email, p.UserID, p.DataFields)
	g.profiles = append(g.profiles, p)
}

// refuse adds a row to the rows to reject.
func (s *staging) refuse(r refusedRow) {
	r.before = len(s.group.profiles)
	if r.value != nil && len(r.value) <= mostDigits {
		r.value = s.group.arena.own(r.value) // it may be a number's
	}
	s.group.refused = append(s.group.refused, r)
}

// compareGroup compares a group's rows and rejects the others, in the order of the source.
func (s *staging) compareGroup(g *group) error {
	s.differ.Expect(g.profiles)
	from := 0
	for _, r := range g.refused {
		if err := s.compare(g.profiles[from:r.before]); err != nil {
			return err
		}
		from = r.before
		if s.tried.full() && s.tried.people == nil {
			s.tried.over++
			continue
		}
		if r.key != nil {
			s.differ.Keep(*r.key)
		}
		if err := s.left(r); err != nil {
			return err
		}
	}
	return s.compare(g.profiles[from:])
}

func (s *staging) compare(rows []snapshot.Profile) error {
	for i := range rows {
		add := s.differ.Add
		if s.tried.full() {
			add = s.beyond
		}
		if err := add(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// compared stages a row by its verdict.
func (s *staging) compared(p *snapshot.Profile, v snapshot.Verdict) error {
	switch v {
	case snapshot.Duplicate:
		return s.rejectProfile(p, schemas.ReasonDuplicate)
	case snapshot.Unchanged:
		s.manifest.Unchanged++
		if err := s.recording.Row(p, schemas.OutcomeUnchanged); err != nil {
			return err
		}
		return s.present(p)
	}
	if bytes.Equal(p.DataFields, beyondRequest) {
		return s.rejectProfile(p, schemas.ReasonTooLarge)
	}
	err := s.adds.Append(batch.Profile{
		Email: p.Email, UserID: p.UserID, DataFields: p.DataFields,
		File: p.File, Row: p.Row, Key: p.Key, Fields: p.Fields,
	})
	switch {
	case errors.Is(err, batch.ErrTooLarge):
		return s.rejectProfile(p, schemas.ReasonTooLarge)
	case err != nil:
		return fmt.Errorf("write the staged file: %w", err)
	case v == snapshot.Changed:
		s.manifest.Updates++
	default:
		s.manifest.Adds++
	}
	s.recording.Added(v == snapshot.Changed)
	s.tried.count()
	s.examples.sent(p, v)
	return s.present(p)
}

// finish finds the members that vanished, and publishes the staged files. Only mirror mode
// removes them, and suppressed ones are removed in every mode. Members that are in the segment under another key are looked up in append
// mode too: Iterable has the values of that row.
func (s *staging) finish(ctx context.Context, mirror bool) error {
	s.mirror = mirror
	var vanished func(*snapshot.Member) error
	if mirror || s.identities != nil || len(s.forgotten) > 0 || s.suppressed.Set.Len() > 0 {
		vanished = s.vanished
	}
	if _, err := s.differ.Finish(ctx, vanished); err != nil {
		return err
	}
	closers := []interface{ Close() error }{
		s.adds, s.removes, s.rejects, s.addsFile, s.removesFile, s.rejectsFile,
	}
	if s.identities != nil {
		if err := s.identities.Decide(ctx, s.fate); err != nil {
			return err
		}
		closers = append(closers, s.superseded, s.supersededFile)
	}
	for _, c := range closers {
		if err := c.Close(); err != nil {
			return fmt.Errorf("write the staged files: %w", err)
		}
	}
	if err := s.writeLinked(ctx); err != nil {
		return err
	}
	if err := s.finishTrial(); err != nil {
		return err
	}
	if err := s.recording.Close(ctx, s.root, s.dir); err != nil {
		return err
	}
	s.manifest.AddBatches, s.manifest.RemoveBatches = s.adds.Batches(), s.removes.Batches()
	if s.rejects.Rows() > 0 {
		s.manifest.Rejects = path.Join(s.dir, dataroot.RejectsFile)
	}
	s.warnings()
	return nil
}

// close closes everything and discards unpublished files.
func (s *staging) close() error {
	if s.comparer != nil {
		_ = s.comparer.stop() // stage has returned its error
		if s.group != nil {
			s.group.reset()
		}
	}
	s.recording.Abort()
	err := s.identities.Close()
	for _, f := range []*storage.Writer{s.addsFile, s.removesFile, s.rejectsFile, s.supersededFile} {
		if f != nil {
			f.Abort()
		}
	}
	return err
}
