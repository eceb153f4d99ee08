package activities

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/record"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/internal/upload"
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
	if done, ok := a.Ledger().Reported(ctx, in.Run); ok && done.State == schemas.StateDone && done.Manifest.Attempt == in.Report.Manifest.Attempt {
		return done, a.discard(ctx, in.Run, in.Segment)
	}
	report = in.Report
	report.Manifest.Rejects = ""
	publishCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var publishing errgroup.Group // what the staged files have, which the snapshot does not change
	publishing.Go(func() (err error) {
		if report.Rejects, err = a.Ledger().PublishRejects(publishCtx, in.Run, in.Export, report.Manifest.Attempt); err != nil {
			return err
		}
		report.Record, err = record.Publish(publishCtx, a.Ledger(), in.Run, in.Export, report.Manifest.Attempt)
		return err
	})
	if err = a.Ledger().Commit(ctx, in); err != nil {
		cancel()
	}
	if published := publishing.Wait(); err == nil { // Temporal knows the type of an error that is not joined
		err = published
	}
	if err != nil {
		return in.Report, err
	}
	if err := a.keepSent(ctx, in); err != nil {
		return in.Report, err
	}
	if in.Segment.Trial == nil { // runs compare with what an administrator has answered
		if err := a.Ledger().KeepSuppressionCounts(ctx, in.Export.Connection, in.Report.Manifest.SuppressionLists); err != nil {
			return in.Report, err
		}
	}
	if err := upload.PublishPace(ctx, a.Root, in.Run); err != nil {
		return in.Report, err
	}
	report.FinishedAt = endOf(report.StartedAt)
	if err := a.Ledger().WriteReport(ctx, in.Run, report); err != nil {
		return in.Report, err
	}
	return report, a.discard(ctx, in.Run, in.Segment)
}

// endOf returns the present time, but not before began, which is by another machine's clock.
func endOf(began time.Time) time.Time {
	if now := time.Now().UTC(); now.After(began) {
		return now
	}
	return began
}

// mayCommit compares the input with the run's record, and the list with the one that it fills.
func (a *Activities) mayCommit(ctx context.Context, in schemas.CommitInput) error {
	if err := a.mayClose(ctx, false, in.Run, in.Export, in.Segment, in.Connection, in.Report); err != nil {
		return err
	}
	return noAccess(a.Access.CheckList(ctx, in.Run, in.Report.ListID))
}

// CloseRun cleans up after a run that did not finish: it adds to the snapshot what may be on
// the list now, keeps the rejects and the report, and deletes the staged files.
func (a *Activities) CloseRun(ctx context.Context, in schemas.CloseInput) (report schemas.ExportReport, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	report = in.Report
	if err := a.mayClose(ctx, in.Check, in.Run, in.Export, in.Segment, in.Connection, report); err != nil {
		return report, err
	}
	if in.Check {
		return report, a.discard(ctx, in.Run, in.Segment)
	}
	if report, err = a.counted(ctx, in.Run, report); err != nil {
		return report, err
	}
	if err := a.Ledger().Close(ctx, in.Run, in.Export); err != nil {
		return report, err
	}
	done, ok := a.Ledger().Reported(ctx, in.Run)
	if ok && done.State == schemas.StateDone && done.Manifest.Attempt == in.Report.Manifest.Attempt {
		return done, a.discard(ctx, in.Run, in.Segment) // it was done, and then reset in Temporal
	}
	report.Manifest.Rejects = ""
	if ok { // by an earlier attempt, which had the answers
		report.Rejects, report.Record = done.Rejects, done.Record
		if done.Upload.Acknowledged() > report.Upload.Acknowledged() {
			report.Upload = done.Upload
			report.AddRejects()
		}
	} else if report.Rejects, err = a.Ledger().PublishRejects(ctx, in.Run, in.Export, report.Manifest.Attempt); err != nil && !ledger.Unusable(err) {
		return report, err
	} else if report.Record, err = record.PublishEnded(ctx, a.Ledger(), in.Run, in.Export, report.Manifest.Attempt); err != nil {
		return report, err
	}
	if err := upload.PublishPace(ctx, a.Root, in.Run); err != nil {
		return report, err
	}
	if err := a.Ledger().WriteReport(ctx, in.Run, report); err != nil {
		return report, err
	}
	return report, a.discard(ctx, in.Run, in.Segment)
}

// counted corrects the counts in the report of a run that ended early: after a worker died,
// the answers beside the staged files have more than the workflow.
func (a *Activities) counted(ctx context.Context, run schemas.RunRef, r schemas.ExportReport) (schemas.ExportReport, error) {
	if r.Manifest.Attempt == "" {
		return r, nil
	}
	all, err := a.Ledger().Counts(ctx, run, r.Manifest.Attempt)
	if err != nil {
		return r, err
	}
	if all.Acknowledged() > r.Upload.Acknowledged() {
		r.Upload = all
		r.AddRejects()
	}
	return r, nil
}

// discard deletes what a run that has ended no longer needs: the staged files, and the people of
// a trial.
func (a *Activities) discard(ctx context.Context, run schemas.RunRef, s schemas.Segment) error {
	if s.Trial != nil {
		if err := trial.Delete(ctx, a.Root, run.Connection, run.Export, s.Trial.People); err != nil {
			return err
		}
	}
	return a.Ledger().Discard(ctx, run)
}

// EndTrial deletes the people of a trial. Only those who know the random name of their file can
// name it, so that it needs no grant: a trial that was refused one ends like all others.
func (a *Activities) EndTrial(ctx context.Context, in schemas.EndTrialInput) (err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.End(ctx, &err)
	return trial.Delete(ctx, a.Root, in.Connection, in.Export, in.People)
}
