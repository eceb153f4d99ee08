package record

import (
	"context"
	"fmt"
	"path"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Files beside the staged ones, from which the record of rows is made.
const (
	// restFile is a staged file with the rows that are not sent, as far as they are recorded. Its data fields are the outcome. Those that are rejected are in the rejects
	// file too, in the same order, with the reason.
	restFile = "rest.arrow"
	// updatesFile marks the rows of adds.arrow that are updates, suppressedFile those of
	// removes.arrow whose member is suppressed.
	updatesFile    = "updates.bits"
	suppressedFile = "suppressed.bits"
)

// Recording collects, while a segment is staged, what the record of rows needs besides the
// staged files. A nil Recording collects nothing.
type Recording struct {
	all        bool // unchanged and filtered rows too
	sent       bool // only rows that are sent
	updates    marks
	suppressed marks
	leftOut    leftOut
	rest       *batch.Writer
	file       *storage.Writer
}

// New starts a recording, unless the export keeps no record.
func New(ctx context.Context, root *storage.Root, dir string, e schemas.Export) (*Recording, error) {
	if e.Record == schemas.RecordNone {
		return nil, nil
	}
	r := &Recording{all: e.Record == schemas.RecordAll, sent: e.Record == schemas.RecordSent}
	var err error
	if r.file, err = root.Create(ctx, path.Join(dir, restFile)); err != nil {
		return nil, fmt.Errorf("make the staged files: %w", err)
	}
	r.rest, err = batch.NewWriter(r.file, batch.Limits{Profiles: schemas.BatchProfiles, BodyBytes: 1 << 29}, batch.Options{Unnamed: true})
	return r, err
}

// Row records a row that is not sent.
func (r *Recording) Row(p *snapshot.Profile, outcome schemas.Outcome) error {
	if r == nil || r.sent || !r.all && (outcome == schemas.OutcomeUnchanged || outcome == schemas.OutcomeFiltered) {
		return nil
	}
	return r.rest.Append(batch.Profile{Email: p.Email, UserID: p.UserID, DataFields: []byte(outcome), File: p.File, Row: p.Row})
}

// OfAll reports whether rows that are unchanged or filtered are recorded.
func (r *Recording) OfAll() bool { return r != nil && r.all }

// Added and Removed record the row that was staged last in adds.arrow or removes.arrow.
func (r *Recording) Added(update bool) {
	if r != nil {
		r.updates.add(update)
	}
}

func (r *Recording) Removed(suppressed bool) {
	if r != nil {
		r.suppressed.add(suppressed)
	}
}

// LeftOut records the columns whose values a row is sent without, since they can't be sent.
func (r *Recording) LeftOut(columns []string, file int32, row int64) {
	if r != nil {
		r.leftOut.add(columns, file, row)
	}
}

// Close publishes the files of the recording.
func (r *Recording) Close(ctx context.Context, root *storage.Root, dir string) error {
	if r == nil {
		return nil
	}
	err := r.rest.Close()
	if err == nil {
		err = r.file.Close()
	}
	if err == nil {
		err = root.Write(ctx, path.Join(dir, updatesFile), r.updates.encode())
	}
	if err == nil {
		err = root.Write(ctx, path.Join(dir, suppressedFile), r.suppressed.encode())
	}
	if err == nil {
		err = r.leftOut.write(ctx, root, path.Join(dir, leftOutFile))
	}
	if err != nil {
		return fmt.Errorf("write the staged files: %w", err)
	}
	return nil
}

// Abort discards the files of a recording that is not closed.
func (r *Recording) Abort() {
	if r != nil && r.file != nil {
		r.file.Abort()
	}
}
