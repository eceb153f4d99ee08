package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// CommitSnapshot publishes the outcome of a run: the snapshot of what is in the
// list now, the rejects and the report; then it deletes what was staged. Done
// twice, it gives the same.
func (a *Activities) CommitSnapshot(ctx context.Context, in schemas.CommitInput) (schemas.ExportReport, error) {
	defer beat(ctx, nil)()
	if err := a.mayWork(in.Run, in.Export, in.Segment, in.Connection, true); err != nil {
		return in.Report, err
	}
	if done, ok := a.reported(ctx, in.Run); ok && done.State == schemas.StateDone {
		return done, a.discard(ctx, in.Run)
	}
	refusals, err := a.readRefusals(ctx, in.Run)
	if err != nil {
		return in.Report, err
	}
	if err := a.commit(ctx, in, refusals); err != nil {
		return in.Report, err
	}
	report := in.Report
	report.Manifest.Rejects = ""
	if report.Rejects, err = a.publishRejects(ctx, in.Run, in.Export, refusals); err != nil {
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

// endOf gives the time now of something that Temporal has seen the beginning of.
// By this machine's clock it may be over before it began.
func endOf(began time.Time) time.Time {
	if now := time.Now().UTC(); now.After(began) {
		return now
	}
	return began
}

// commit publishes the snapshot, unless nothing has changed.
func (a *Activities) commit(ctx context.Context, in schemas.CommitInput, refusals []refused) error {
	m := in.Report.Manifest
	h := header(in.Run, in.Export, in.Report.ListID, in.Connection.ProjectType)
	h.Profiles = m.Profiles()
	if m.Full {
		h.FullAt = h.CreatedAt
	}
	var old openedSnapshot
	if m.Snapshot != "" {
		var err error
		old, err = a.readSnapshot(ctx, in.Run, h)
		if err != nil && !lost(err) {
			return fmt.Errorf("open the snapshot that the segment was compared with: %w", err)
		}
		if err != nil {
			return needOperator(schemas.ErrorStaging, fmt.Sprintf("the snapshot that the segment was compared with can't be read any more (%v); retry starts over", err))
		}
		defer old.Close()
		switch old.Header().RunID {
		case in.Run.RunID:
			return a.settled(ctx, in.Run) // an earlier try got this far
		case m.Snapshot:
		default:
			return needOperator(schemas.ErrorStaging, "the snapshot was replaced during the run; retry starts over")
		}
		if m.ToSend() == 0 && m.Superseded == 0 && !m.Full && old.Header().Profiles == h.Profiles {
			return a.settled(ctx, in.Run)
		}
		if !m.Full {
			h.FullAt = old.Header().FullAt
		}
	}
	update, done, err := a.newUpdate(ctx)
	if err != nil {
		return err
	}
	defer done()
	dir := schemas.StagingDir(in.Run)
	refusals, unsure, err := sure(refusals)
	if err != nil {
		return err
	}
	err = a.eachStaged(ctx, path.Join(dir, schemas.AddsFile), func(p *snapshot.Member) error {
		if unsure[p.Key] {
			p.Fields = 0 // as if something else had been sent: they are sent again
		}
		return update.Put(p)
	})
	if err != nil {
		return stagingError("the staged file "+schemas.AddsFile, err)
	}
	err = a.eachStaged(ctx, path.Join(dir, schemas.RemovesFile), func(p *snapshot.Member) error {
		if unsure[p.Key] {
			return nil
		}
		return update.Remove(p.Key)
	})
	if err != nil {
		return stagingError("the staged file "+schemas.RemovesFile, err)
	}
	if m.Superseded > 0 {
		if err := a.commitSuperseded(ctx, path.Join(dir, supersededFile), update, refusals); err != nil {
			return stagingError("the staged file "+supersededFile, err)
		}
	}
	for _, r := range refusals {
		if err := refuseIn(update, r); err != nil {
			return err
		}
	}
	if err := a.publish(ctx, in.Run, update, old.Snapshot, h); err != nil {
		return err
	}
	return a.settled(ctx, in.Run)
}

// sure tells the refusals that have a name from the people of whom Iterable did not
// say whether it took them.
func sure(all []refused) (named []refused, unsure map[snapshot.Key]bool, err error) {
	unsure = map[snapshot.Key]bool{}
	for _, r := range all {
		if !r.Unsure {
			named = append(named, r)
			continue
		}
		key, err := r.key()
		if err != nil {
			return nil, nil, needOperator(schemas.ErrorStaging, err.Error()+"; retry starts over")
		}
		unsure[key] = true
	}
	return named, unsure, nil
}

// refuseIn takes somebody out of the next snapshot whom Iterable did not take.
func refuseIn(u *snapshot.Update, r refused) error {
	key, err := r.key()
	if err != nil {
		return needOperator(schemas.ErrorStaging, err.Error()+"; retry starts over")
	}
	if r.Reason == schemas.ReasonIterableForgotten {
		return u.Forget(key)
	}
	return u.Refuse(key)
}

// settled notes that the snapshot knows everybody on the list.
func (a *Activities) settled(ctx context.Context, run schemas.RunRef) error {
	return a.Root.DeletePrefix(ctx, snapshotKey(run, pendingFile))
}

// CloseRun puts the traces of a run in order that did not come to its end: the
// snapshot learns who may be on the list now, the rejects and the report are
// kept, and what was staged is deleted.
func (a *Activities) CloseRun(ctx context.Context, in schemas.CloseInput) (schemas.ExportReport, error) {
	defer beat(ctx, nil)()
	report := in.Report
	if err := a.mayWork(in.Run, in.Export, in.Segment, in.Connection, !in.Check); err != nil {
		return report, err
	}
	if in.Check {
		return report, a.discard(ctx, in.Run)
	}
	// The run may have ended before it knew its list, or after that was deleted.
	if err := a.absorb(ctx, in.Run, in.Export, 0); err != nil {
		return report, err
	}
	if done, ok := a.reported(ctx, in.Run); ok && done.State == schemas.StateDone {
		return done, a.discard(ctx, in.Run) // it was done, and begun anew in Temporal
	}
	refusals, err := a.readRefusals(ctx, in.Run)
	if err != nil {
		return report, err
	}
	report.Manifest.Rejects = ""
	if done, ok := a.reported(ctx, in.Run); ok {
		report.Rejects = done.Rejects
	} else if report.Rejects, err = a.publishRejects(ctx, in.Run, in.Export, refusals); err != nil {
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

// reported reads the report of a run, if it has one.
func (a *Activities) reported(ctx context.Context, run schemas.RunRef) (r schemas.ExportReport, ok bool) {
	data, err := a.Root.Read(ctx, path.Join(schemas.ReportDir(run), schemas.ReportFile))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return schemas.ExportReport{}, false
	}
	return r, true
}

func (a *Activities) writeReport(ctx context.Context, run schemas.RunRef, r schemas.ExportReport) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := a.Root.Write(ctx, path.Join(schemas.ReportDir(run), schemas.ReportFile), data); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// discard deletes what was staged.
func (a *Activities) discard(ctx context.Context, run schemas.RunRef) error {
	if err := a.Root.DeletePrefix(ctx, schemas.StagingDir(run)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete what was staged: %w", err)
	}
	return nil
}
