package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/sources"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// InspectSegment reads the footers of the segment's files.
func (a *Activities) InspectSegment(ctx context.Context, in schemas.InspectInput) (_ schemas.SegmentInfo, err error) {
	var read atomic.Int64
	ctx, attempt := a.begin(ctx, in.Run.Deadline, func() any { return schemas.InspectProgress{Footers: read.Load()} })
	defer attempt.End(ctx, &err)
	if _, err := a.mayWork(ctx, in.Run, in.Export, in.Segment, in.Connection, reads); err != nil {
		return schemas.SegmentInfo{}, err
	}
	looked := a.clock()
	seg, why, err := a.readFooters(ctx, in, &read)
	if in.Wanted != nil && (err == nil || why != nil) {
		a.Metrics.Looked(ctx, in.Run.Export, why == nil)
	}
	if err != nil || why != nil {
		return schemas.SegmentInfo{Unready: why}, err
	}
	located := seg.Located()
	a.inspected.keep(in.Run, seg)
	mapper, err := staging.CompileMapping(in.Export, in.Connection.Limits, seg)
	if err != nil {
		return schemas.SegmentInfo{}, err
	}
	info := seg.Info()
	info.Fields = mapper.Fields()
	info.LookedAt = looked
	_, info.Newest = located.Newest()
	if in.Export.ReadyFor(in.Segment).Leftovers != schemas.LeftoversIgnore {
		info.Leftovers = located.Leftovers()
	}
	return info, nil
}

// readFooters locates the segment's files and reads their footers, whose number it stores in read. why
// is set if the data is not as the run wants it.
func (a *Activities) readFooters(ctx context.Context, in schemas.InspectInput, read *atomic.Int64) (seg *segment.Segment, why *schemas.Unready, err error) {
	located, err := a.locate(ctx, in.Export, in.Segment, nil)
	if in.Wanted != nil {
		if why, err := a.unready(ctx, in, located, err); err != nil || why != nil {
			return nil, why, err
		}
	}
	if err != nil {
		return nil, nil, err
	}
	located.Progress = func(files int) { read.Store(int64(files)) }
	if seg, err = footers(ctx, in.Export, in.Segment, in.Began, located); in.Wanted != nil {
		if why := a.unfinished(ctx, in, located, err); why != nil {
			return nil, why, nil
		}
	}
	return seg, nil, segmentFailure(err)
}

// inspect locates the segment's files and reads their footers, unless they were read before
// and are the same. began is the "now" of the segment's condition.
func (a *Activities) inspect(ctx context.Context, e schemas.Export, s schemas.Segment, began time.Time, pinned *schemas.TableVersion, before *segment.Segment) (*segment.Segment, error) {
	located, err := a.locate(ctx, e, s, pinned)
	if err != nil {
		return nil, err
	}
	if before != nil && before.Is(located) {
		return before, nil
	}
	return inspect(ctx, e, s, began, located)
}

// inspect reads the footers of the segment's files.
func inspect(ctx context.Context, e schemas.Export, s schemas.Segment, began time.Time, located *segment.Located) (*segment.Segment, error) {
	seg, err := footers(ctx, e, s, began, located)
	return seg, segmentFailure(err)
}

// footers is inspect with the segment's own errors.
func footers(ctx context.Context, e schemas.Export, s schemas.Segment, began time.Time, located *segment.Located) (*segment.Segment, error) {
	columns := segment.Columns{Email: e.Email, UserID: e.UserID, Fields: e.Fields, By: e.Dedupe.By, ForEach: s.ForEach, Where: s.Where, Now: began}
	if s.Trial != nil {
		columns.ForEach = s.Trial.ForEach
		columns.Everything = s.Trial.People != "" // the trial says of each person whether the segment has them
	}
	return located.Inspect(ctx, columns)
}

// locate finds the segment's files, if the connection allows its source. Of a table it finds
// the version that the run began with, or the latest. Where there are no files, it returns
// what is known of those that are being written, and an error.
func (a *Activities) locate(ctx context.Context, e schemas.Export, s schemas.Segment, pinned *schemas.TableVersion) (*segment.Located, error) {
	c, err := a.Connections.Get(e.Connection)
	if err != nil {
		return nil, step.NeedOperator(schemas.ErrorUnknownConnection, err.Error())
	}
	search := segment.Search{Version: segment.Latest, Statistics: s.Where != nil, Marker: e.ReadyFor(s).Marker}
	if pinned != nil {
		search.Version = pinned.Version
	}
	located, err := sources.Files(ctx, c, s.Source, search)
	if errors.Is(err, fs.ErrNotExist) {
		return located, step.NeedOperator(schemas.ErrorSegmentNotFound, fmt.Sprintf("%v; correct the source of segment %q, or put its files there and retry", err, s.Name))
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, step.NeedOperator(schemas.ErrorSegmentUnreadable, fmt.Sprintf("%v; let the worker read there, then retry", err))
	}
	return located, segmentFailure(err)
}

// segmentFailure turns a segment's error into one for Temporal.
func segmentFailure(err error) error {
	var bad *segment.Error
	if errors.Is(err, snapshot.ErrTooMany) {
		return step.NeedOperator(schemas.ErrorBadExport, err.Error())
	}
	if errors.As(err, &bad) && bad.Type != "" {
		return step.NeedOperator(bad.Type, bad.Error())
	}
	return err
}

// StageSegment reads the segment once: it rejects invalid rows, compares the rest with the
// snapshot, and writes the staged files.
func (a *Activities) StageSegment(ctx context.Context, in schemas.StageInput) (_ schemas.Manifest, err error) {
	var read atomic.Int64
	ctx, attempt := a.begin(ctx, in.Run.Deadline, func() any { return schemas.StageProgress{Read: read.Load()} })
	defer attempt.End(ctx, &err)
	r, err := a.mayWork(ctx, in.Run, in.Export, in.Segment, in.Connection, reads)
	if err == nil && r != nil && (in.Check != r.Input.Check || in.Full != r.Input.Full) {
		err = altered(in.Run)
	}
	if err == nil && r != nil {
		err = noAccess(a.Access.CheckList(ctx, in.Run, in.ListID))
	}
	if err != nil {
		return schemas.Manifest{}, err
	}
	if done, ok := a.Ledger().Reported(ctx, in.Run); ok && !in.Check && done.State == schemas.StateDone {
		return schemas.Manifest{}, step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf(
			"this run was done already, and was reset in Temporal since; abort it and start a new one with: starter run %s", schemas.ShellWord(in.Run.Export)))
	}
	from, err := a.source(ctx, in)
	if err != nil {
		return schemas.Manifest{}, err
	}
	id := step.AttemptID(ctx)
	if !in.Check {
		if err := a.Ledger().TakeOver(ctx, in, id); err != nil {
			return schemas.Manifest{}, err
		}
		// The staged files of earlier attempts are no longer needed, and what they have sent is
		// in the snapshot now.
		if err := a.Ledger().Discard(ctx, in.Run); err != nil {
			return schemas.Manifest{}, err
		}
	}
	fields, err := staging.Fields(in.Export, from.Segment)
	if err != nil {
		return schemas.Manifest{}, err
	}
	if err := a.Ledger().Sign(ctx, in, fields); err != nil {
		return schemas.Manifest{}, err
	}
	manifest, err := a.stage(ctx, in, id, from, &read)
	if errors.Is(err, snapshot.ErrCorrupt) || errors.Is(err, storage.ErrDamaged) {
		// Staging had already used the snapshot: stage again without it.
		in.IgnoreSnapshot = true
		manifest, err = a.stage(ctx, in, id, from, &read)
	}
	if err == nil && !in.Check {
		a.Metrics.Profiles(ctx, in.Run.Export, observe.Unchanged, manifest.Unchanged)
		a.Metrics.Profiles(ctx, in.Run.Export, observe.Duplicate, manifest.Duplicates)
		a.Metrics.Profiles(ctx, in.Run.Export, observe.Filtered, manifest.Filtered)
		a.Metrics.Profiles(ctx, in.Run.Export, observe.Suppressed, manifest.Suppressed)
		a.Metrics.Rejects(ctx, in.Run.Export, manifest.Rejected)
	}
	a.expectPace(ctx, in.Connection, &manifest)
	return manifest, segmentFailure(err)
}

// source returns the rows to stage: those of the segment's files, as InspectSegment found them, or
// those that DivideSegment has kept for a list.
func (a *Activities) source(ctx context.Context, in schemas.StageInput) (staging.Source, error) {
	if in.Segment.Of != "" {
		return staging.Part(ctx, a.Ledger(), in)
	}
	seg, err := a.inspect(ctx, in.Export, in.Segment, in.Began, in.Info.Table, a.inspected.take(in.Run))
	if err == nil {
		err = segmentFailure(seg.CheckFingerprint(in.Info.Fingerprint))
	}
	return staging.Source{Segment: seg}, err
}

// stage stages the segment once.
func (a *Activities) stage(ctx context.Context, in schemas.StageInput, attempt string, from staging.Source, read *atomic.Int64) (m schemas.Manifest, err error) {
	old, err := a.compareWith(ctx, in)
	if err != nil {
		return m, err
	}
	defer old.Close()
	fields, err := staging.Fields(in.Export, from.Segment)
	if err != nil {
		return m, err
	}
	old.CompareFields(fields)
	stager := staging.Stager{Ledger: a.Ledger(), BatchProfiles: a.BatchProfiles, Listings: &a.listings}
	if stager.Forgotten, err = a.forgotten().Known(ctx, in.Run.Connection); err != nil {
		return m, err
	}
	if stager.Suppressed, err = a.suppressions(ctx, in); err != nil {
		return m, err
	}
	if stager.Tried, err = a.tried(ctx, in); err != nil {
		return m, err
	}
	return stager.Stage(ctx, in, attempt, from, old, read)
}

// tried returns the lists that the segment of a trial fills, or has filled. A run tries nothing.
func (a *Activities) tried(ctx context.Context, in schemas.StageInput) ([]string, error) {
	of := in.Segment.Trial
	if of == nil {
		return nil, nil
	}
	if _, divided := of.Divided(); !divided {
		return []string{of.Of}, nil
	}
	run := in.Run
	run.Export, _ = schemas.TriedExport(run.Export)
	run.Segment = of.Of
	known, err := a.dividedLists(ctx, run)
	return union(known.Lists, known.Emptied), err
}

// compareWith opens the snapshot and decides whether all profiles must be sent.
func (a *Activities) compareWith(ctx context.Context, in schemas.StageInput) (c ledger.Comparison, err error) {
	handover, err := a.handover(ctx, in)
	if err != nil {
		return c, err
	}
	return a.Ledger().Compare(ctx, in, handover, time.Now())
}

// expectPace sets the manifest's Pace, the expected speed of the upload.
func (a *Activities) expectPace(ctx context.Context, c schemas.ConnectionInfo, m *schemas.Manifest) {
	known, err := limits.Read(ctx, a.Root, c.Name)
	if err != nil {
		a.Log.Warn("learned limits unreadable; learning them again", "connection", c.Name, "error", err)
	}
	kind := schemas.Subscribe
	if m.AddBatches == 0 {
		kind = schemas.Unsubscribe
	}
	pace := limits.Expected(c.Limits, known.Limits[kind])
	m.Pace = &pace
}

// Footers returns the number of files and rows of a segment, as a run would read them.
func (a *Activities) Footers(ctx context.Context, e schemas.Export, s schemas.Segment) (files int, rows int64, err error) {
	seg, err := a.inspect(ctx, e, s, time.Now(), nil, nil)
	if err != nil {
		return 0, 0, step.Plain(err)
	}
	return len(seg.Files()), seg.Info().Rows, nil
}

// isMissing reports whether err says that a segment has no files.
func isMissing(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == schemas.ErrorSegmentNotFound
}
