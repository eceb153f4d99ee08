package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// Commit publishes the snapshot, unless nothing has changed.
func (l *Ledger) Commit(ctx context.Context, in schemas.CommitInput) error {
	m := in.Report.Manifest
	if in.Report.ListID == 0 { // nothing was sent, and there is no list
		return l.settled(ctx, in.Run, m.Attempt)
	}
	h := NewHeader(in.Run, in.Export, in.Report.ListID, in.Connection.ProjectType)
	h.Attempt, h.Profiles = m.Attempt, m.Profiles()
	from, err := l.origin(ctx, in.Run)
	if err != nil {
		return err
	}
	h.Fields = from.Fields
	if m.Full {
		h.FullAt = h.CreatedAt
	}
	old, err := l.Open(ctx, in.Run, h)
	if err != nil && !lost(err) {
		return fmt.Errorf("open the snapshot that the segment was compared with: %w", err)
	}
	defer old.Close()
	published := err == nil && old.Header().Attempt == m.Attempt
	switch {
	case published && old.Version > m.SnapshotVersion: // an earlier try got this far
		return l.settled(ctx, in.Run, m.Attempt)
	case old.Version != m.SnapshotVersion:
		return step.NeedOperator(schemas.ErrorStaging, "the snapshot was replaced during the run; retry starts over")
	case m.Snapshot == "":
		old.Snapshot = nil // unusable for staging
	case err != nil:
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf("the snapshot that the segment was compared with is no longer readable (%v); retry starts over", err))
	case m.ToSend() == 0 && m.Superseded == 0 && m.Forgotten == 0 && !m.Full && sameShape(old.Header(), h):
		return l.settled(ctx, in.Run, m.Attempt)
	case !m.Full:
		h.FullAt = old.Header().FullAt
	}
	update := snapshot.NewUpdate(l.TempDir, 0)
	defer update.Close()
	account, err := l.NewAccount(ctx, in.Run, m.Attempt, update)
	if err == nil {
		err = account.add(ctx)
	}
	if err == nil && m.Superseded > 0 {
		err = account.superseded(ctx, true)
	}
	if err != nil {
		return StagingError("what the run has staged", err)
	}
	if account.unanswered > 0 {
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf("the answers to %d batches are missing; retry starts over", account.unanswered))
	}
	if m.Full {
		update.Void()
	}
	keepIdentifiers(update, in.Connection.ProjectType)
	if err := l.Publish(ctx, in.Run, update, old, h); err != nil {
		return err
	}
	return l.settled(ctx, in.Run, m.Attempt)
}

// sameShape reports whether a snapshot without new entries would say the same. The fields are
// not known if an earlier try has deleted the staged files.
func sameShape(old, now snapshot.Header) bool {
	return old.Profiles == now.Profiles && old.Mapping == now.Mapping && (now.Fields == nil || slices.Equal(old.Fields, now.Fields))
}

// keepIdentifiers makes the next snapshot keep identifiers that rows lack now, so that a member
// is found on a suppression list by one that Iterable still has. In a hybrid project an address
// that is kept would be another member's too, so that the other one could never leave the list.
func keepIdentifiers(u *snapshot.Update, project string) {
	if project != schemas.ProjectHybrid {
		u.KeepIdentifiers()
	}
}

// settled records that the snapshot knows what the attempt has sent. An older snapshot may
// have come late, from a worker that stalled while it published.
func (l *Ledger) settled(ctx context.Context, run schemas.RunRef, attempt string) error {
	if err := l.dropOldSnapshots(ctx, run); err != nil {
		return err
	}
	return l.Root.DeletePrefix(ctx, pendingKey(run, attempt))
}

// Close adds to the snapshot what a run has done that ended early. The run may have ended
// before it knew its list, or after the list was deleted.
func (l *Ledger) Close(ctx context.Context, run schemas.RunRef, e schemas.Export) error {
	found, err := l.Unfinished(ctx, run)
	if err == nil {
		err = outlive(ctx, activity.GetInfo(ctx), slices.Collect(maps.Values(found))...)
	}
	if err != nil {
		return err
	}
	return l.Absorb(ctx, run, e, 0, func(p Pending) bool { return p.RunID == run.RunID })
}

// Reported returns the report of a run, if it has one.
func (l *Ledger) Reported(ctx context.Context, run schemas.RunRef) (r schemas.ExportReport, ok bool) {
	data, err := l.Root.Read(ctx, path.Join(dataroot.ReportDir(run), dataroot.ReportFile))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return schemas.ExportReport{}, false
	}
	return r, true
}

// WriteReport writes the report of a segment's run.
func (l *Ledger) WriteReport(ctx context.Context, run schemas.RunRef, r schemas.ExportReport) error {
	if err := l.Root.WriteJSON(ctx, path.Join(dataroot.ReportDir(run), dataroot.ReportFile), r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Discard deletes the staged files of a run.
func (l *Ledger) Discard(ctx context.Context, run schemas.RunRef) error {
	if err := l.Root.DeletePrefix(ctx, dataroot.StagingDir(run)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the staged files: %w", err)
	}
	return nil
}
