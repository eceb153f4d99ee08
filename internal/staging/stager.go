// Package staging turns the rows of a segment into the staged files of a run: it rejects the
// rows that can't be sent, leaves out those that may not be sent, compares the rest with the
// snapshot, and writes what is to be added to the list and removed from it.
package staging

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"sync/atomic"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/forgotten"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// Stager stages segments.
type Stager struct {
	*ledger.Ledger
	// Forgotten are the profiles that Iterable has forgotten.
	Forgotten forgotten.People
	// Suppressed are the people of the connection's suppression lists.
	Suppressed Suppressed
	// Tried are the lists of the segment that a trial tries.
	Tried []string
	// Listings is shared by the stagings of this process; it may be nil.
	Listings *Listings
	// BatchProfiles is the most profiles of a batch; 0 is schemas.BatchProfiles.
	BatchProfiles int
}

// Suppressed are the people who must not be sent.
type Suppressed struct {
	// Set is nil where there are no suppression lists.
	Set *suppression.Set
	// ByAddress and ByUserID report whether any list has such entries.
	ByAddress, ByUserID bool
	// Lists are the sizes of the lists.
	Lists    []schemas.SuppressionCount
	Warnings []string
}

// Stage reads the segment once, compares it with old, and writes the staged files of an attempt.
// It keeps the number of rows that were read in read.
func (stager *Stager) Stage(ctx context.Context, in schemas.StageInput, attempt string, from Source, old ledger.Comparison, read *atomic.Int64) (m schemas.Manifest, err error) {
	s, err := stager.newStaging(ctx, in, attempt, from.Segment, old)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.losers = from.losers
	if err := s.linkRows(ctx, from, stager.Listings); err != nil {
		return m, partFailure(in, err)
	}
	if err := stager.linkTried(ctx, s); err != nil {
		return m, err
	}
	if err := s.decide(ctx, from.Segment, stager.TempDir); err != nil {
		return m, err
	}
	var failed error // to read the segment
	for b, err := range from.Read(ctx, segment.Options{}) {
		if err != nil {
			failed = err
		} else if err = s.record(b); err != nil && !errors.Is(err, errComparing) && !errors.Is(err, errEnough) {
			return m, err
		}
		if err != nil {
			break
		}
		read.Store(s.manifest.Read)
	}
	if err := s.comparer.stop(); err != nil {
		return m, err
	}
	if failed != nil {
		return m, partFailure(in, failed)
	}
	traffic := from.Traffic()
	s.manifest.BytesRead, s.manifest.Reads = traffic.Bytes+s.traffic.Bytes, traffic.Requests+s.traffic.Requests
	s.skipped(from.Skipped())
	stager.Log.Info("segment read", "export", in.Run.Export, "segment", in.Run.Segment, "rows", s.manifest.Read,
		"bytesRead", traffic.Bytes, "ofBytes", from.Info().Bytes, "reads", traffic.Requests)
	s.manifest.Kept = from.kept
	if err := s.finish(ctx, in.Export.Mode != schemas.ModeAppend && !from.kept); err != nil {
		return m, err
	}
	names := from.Files()
	for i := range names { // JSON would replace other bytes, and the rejects have them readable
		names[i] = rejects.ReadableName(names[i])
	}
	listed, err := json.Marshal(names)
	if err == nil {
		err = stager.Root.Write(ctx, path.Join(s.dir, ledger.FilesFile), listed)
	}
	if err == nil && len(s.gone) > 0 {
		err = stager.Root.Write(ctx, path.Join(s.dir, ledger.ForgottenFile), s.gone)
	}
	if err == nil && s.examples != nil {
		err = stager.writeExamples(ctx, in.Run, s.examples)
	}
	return s.manifest, err
}

// skipped counts the rows that did not have to be read, since none of them can match.
func (s *staging) skipped(k schemas.Skipped) {
	if k == (schemas.Skipped{}) {
		return
	}
	s.manifest.Skipped = &k
	s.manifest.Read += k.Rows
	s.manifest.Filtered += k.Rows
}

// warnings adds the warnings about values of mapped fields to the manifest.
func (s *staging) warnings() {
	s.manifest.LeftOut = s.mapper.LeftOut()
	s.manifest.Warnings = append(s.manifest.Warnings, s.mapper.Warnings()...)
	slices.Sort(s.manifest.Warnings)
	s.manifest.Warnings = slices.Compact(s.manifest.Warnings)
}

// batchLimits returns the limits of a batch on this connection: what one request can
// certainly carry.
func (stager *Stager) batchLimits(l schemas.Limits) batch.Limits {
	most := cmp.Or(stager.BatchProfiles, schemas.BatchProfiles)
	if n := int(l.SubscribersPerRequest); n > 0 {
		most = min(most, n)
	}
	if n := l.MaxSubscribersPerRequest; n > 0 {
		most = min(most, n)
	}
	return batch.Limits{Profiles: most, BodyBytes: l.WithDefaults().MaxBodyBytes}
}
