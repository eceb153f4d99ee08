package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// CommitSnapshot publishes the outcome of a run: the new snapshot, the rejects and the
// report. Then it deletes the staged files. It may be repeated.
func (a *Activities) CommitSnapshot(ctx context.Context, in schemas.CommitInput) (report schemas.ExportReport, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	if err := a.mayCommit(ctx, in); err != nil {
		return in.Report, err
	}
	if done, ok := a.reported(ctx, in.Run); ok && done.State == schemas.StateDone && done.Manifest.Attempt == in.Report.Manifest.Attempt {
		return done, a.discard(ctx, in.Run)
	}
	if err := a.commit(ctx, in); err != nil {
		return in.Report, err
	}
	if err := a.keepSent(ctx, in); err != nil {
		return in.Report, err
	}
	if err := a.keepCounts(ctx, in.Run, in.Report.Manifest.SuppressionLists); err != nil {
		return in.Report, err
	}
	report = in.Report
	report.Manifest.Rejects = ""
	if report.Rejects, err = a.publishRejects(ctx, in.Run, in.Export, report.Manifest.Attempt); err != nil {
		return in.Report, err
	}
	if report.Record, err = a.publishRecord(ctx, in.Run, in.Export, report.Manifest.Attempt); err != nil {
		return in.Report, err
	}
	if err := a.publishPace(ctx, in.Run); err != nil {
		return in.Report, err
	}
	report.FinishedAt = endOf(report.StartedAt)
	if err := a.writeReport(ctx, in.Run, report); err != nil {
		return in.Report, err
	}
	return report, a.discard(ctx, in.Run)
}

// endOf returns the present time, but not before began, which is by another machine's clock.
func endOf(began time.Time) time.Time {
	if now := time.Now().UTC(); now.After(began) {
		return now
	}
	return began
}

// commit publishes the snapshot, unless nothing has changed.
func (a *Activities) commit(ctx context.Context, in schemas.CommitInput) error {
	m := in.Report.Manifest
	if in.Report.ListID == 0 { // nothing was sent, and there is no list
		return a.settled(ctx, in.Run, m.Attempt)
	}
	h := header(in.Run, in.Export, in.Report.ListID, in.Connection.ProjectType)
	h.Attempt, h.Profiles = m.Attempt, m.Profiles()
	if m.Full {
		h.FullAt = h.CreatedAt
	}
	old, err := a.readSnapshot(ctx, in.Run, h)
	if err != nil && !lost(err) {
		return fmt.Errorf("open the snapshot that the segment was compared with: %w", err)
	}
	defer old.Close()
	published := err == nil && old.Header().Attempt == m.Attempt
	switch {
	case published && old.version > m.SnapshotVersion: // an earlier try got this far
		return a.settled(ctx, in.Run, m.Attempt)
	case old.version != m.SnapshotVersion:
		return needOperator(schemas.ErrorStaging, "the snapshot was replaced during the run; retry starts over")
	case m.Snapshot == "":
		old.Snapshot = nil // unusable for staging
	case err != nil:
		return needOperator(schemas.ErrorStaging, fmt.Sprintf("the snapshot that the segment was compared with is no longer readable (%v); retry starts over", err))
	case m.ToSend() == 0 && m.Superseded == 0 && m.Forgotten == 0 && !m.Full && old.Header().Profiles == h.Profiles && old.Header().Mapping == h.Mapping:
		return a.settled(ctx, in.Run, m.Attempt)
	case !m.Full:
		h.FullAt = old.Header().FullAt
	}
	update := snapshot.NewUpdate(a.TempDir, 0)
	defer update.Close()
	account, err := a.newAccount(ctx, in.Run, m.Attempt, update)
	if err == nil {
		err = account.add(ctx)
	}
	if err == nil && m.Superseded > 0 {
		err = account.superseded(ctx, true)
	}
	if err != nil {
		return stagingError("what the run has staged", err)
	}
	if account.unanswered > 0 {
		return needOperator(schemas.ErrorStaging, fmt.Sprintf("the answers to %d batches are missing; retry starts over", account.unanswered))
	}
	if m.Full {
		update.Void()
	}
	if err := a.publish(ctx, in.Run, update, old, h); err != nil {
		return err
	}
	return a.settled(ctx, in.Run, m.Attempt)
}

// settled records that the snapshot knows what the attempt has sent. An older snapshot may
// have come late, from a worker that stalled while it published.
func (a *Activities) settled(ctx context.Context, run schemas.RunRef, attempt string) error {
	if err := a.dropOldSnapshots(ctx, run); err != nil {
		return err
	}
	return a.Root.DeletePrefix(ctx, pendingKey(run, attempt))
}

// mayCommit compares the input with the run's record.
func (a *Activities) mayCommit(ctx context.Context, in schemas.CommitInput) error {
	r, err := a.mayWork(ctx, in.Run, in.Export, in.Segment, in.Connection, keeps)
	switch {
	case err != nil || r == nil:
		return err
	case r.Input.Check:
		return needOperator(schemas.ErrorGrant, fmt.Sprintf("the run of %q is a check, and may change nothing", in.Run.Export))
	}
	return noAccess(a.Access.CheckList(ctx, in.Run, in.Report.ListID))
}

// CloseRun cleans up after a run that did not finish: it adds to the snapshot what may be on
// the list now, keeps the rejects and the report, and deletes the staged files.
func (a *Activities) CloseRun(ctx context.Context, in schemas.CloseInput) (report schemas.ExportReport, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	report = in.Report
	r, err := a.mayWork(ctx, in.Run, in.Export, in.Segment, in.Connection, keeps)
	if err == nil && r != nil && in.Check != r.Input.Check {
		err = altered(in.Run)
	}
	if err != nil {
		return report, err
	}
	if in.Check {
		return report, a.discard(ctx, in.Run)
	}
	if report, err = a.counted(ctx, in.Run, report); err != nil {
		return report, err
	}
	found, err := a.unfinishedRuns(ctx, in.Run)
	if err == nil {
		err = outlive(ctx, activity.GetInfo(ctx), slices.Collect(maps.Values(found))...)
	}
	if err != nil {
		return report, err
	}
	// The run may have ended before it knew its list, or after the list was deleted.
	mine := func(p pending) bool { return p.RunID == in.Run.RunID }
	if err := a.absorb(ctx, in.Run, in.Export, 0, mine); err != nil {
		return report, err
	}
	done, ok := a.reported(ctx, in.Run)
	if ok && done.State == schemas.StateDone && done.Manifest.Attempt == in.Report.Manifest.Attempt {
		return done, a.discard(ctx, in.Run) // it was done, and then reset in Temporal
	}
	report.Manifest.Rejects = ""
	if ok { // by an earlier attempt, which had the answers
		report.Rejects, report.Record = done.Rejects, done.Record
		if done.Upload.Acknowledged() > report.Upload.Acknowledged() {
			report.Upload = done.Upload
			report.AddRejects()
		}
	} else if report.Rejects, err = a.publishRejects(ctx, in.Run, in.Export, report.Manifest.Attempt); err != nil {
		return report, err
	} else if report.Record, err = a.recordOfEnded(ctx, in.Run, in.Export, report.Manifest.Attempt); err != nil {
		return report, err
	}
	if err := a.publishPace(ctx, in.Run); err != nil {
		return report, err
	}
	if err := a.writeReport(ctx, in.Run, report); err != nil {
		return report, err
	}
	return report, a.discard(ctx, in.Run)
}

// counted corrects the counts in the report of a run that ended early: after a worker died,
// the answers beside the staged files have more than the workflow.
func (a *Activities) counted(ctx context.Context, run schemas.RunRef, r schemas.ExportReport) (schemas.ExportReport, error) {
	if r.Manifest.Attempt == "" {
		return r, nil
	}
	noted, err := a.readAnswered(ctx, run, r.Manifest.Attempt)
	if err != nil && !errors.Is(err, errDamaged) {
		return r, err
	}
	all := noted[schemas.Subscribe].counts()
	all.Add(noted[schemas.Unsubscribe].counts())
	if all.Acknowledged() > r.Upload.Acknowledged() {
		r.Upload = all
		r.AddRejects()
	}
	return r, nil
}

// reported returns the report of a run, if it has one.
func (a *Activities) reported(ctx context.Context, run schemas.RunRef) (r schemas.ExportReport, ok bool) {
	data, err := a.Root.Read(ctx, path.Join(schemas.ReportDir(run), schemas.ReportFile))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return schemas.ExportReport{}, false
	}
	return r, true
}

func (a *Activities) writeReport(ctx context.Context, run schemas.RunRef, r schemas.ExportReport) error {
	if err := a.Root.WriteJSON(ctx, path.Join(schemas.ReportDir(run), schemas.ReportFile), r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// discard deletes the staged files.
func (a *Activities) discard(ctx context.Context, run schemas.RunRef) error {
	if err := a.Root.DeletePrefix(ctx, schemas.StagingDir(run)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the staged files: %w", err)
	}
	return nil
}
