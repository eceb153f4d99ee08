// Package record writes what became of each row of a run. While a segment is staged, a
// Recording notes what the staged files lack; when the run ends, Publish adds Iterable's
// answers.
package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// recorder writes the record of a run's rows.
type recorder struct {
	*ledger.Account
	export  schemas.Export
	files   []string
	leftOut leftOut
	out     *rejects.RowWriter
}

// Publish writes what became of each row beside the report. It returns the file's key, or
// "" if the export keeps no record, or the run ended before anything was staged.
func Publish(ctx context.Context, l *ledger.Ledger, run schemas.RunRef, e schemas.Export, attempt string) (string, error) {
	if e.Record == schemas.RecordNone || attempt == "" {
		return "", nil
	}
	dir, key := dataroot.StagedDir(run, attempt), path.Join(dataroot.ReportDir(run), dataroot.RowsFile)
	names, err := l.Root.Read(ctx, path.Join(dir, ledger.FilesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l.Published(ctx, key)
	}
	r := &recorder{export: e}
	if err == nil {
		err = json.Unmarshal(names, &r.files)
	}
	if err == nil {
		r.leftOut, err = readLeftOut(ctx, l.Root, path.Join(dir, leftOutFile))
	}
	if err == nil {
		r.Account, err = l.NewAccount(ctx, run, attempt, nil)
	}
	if err != nil {
		return "", fmt.Errorf("write the record of rows: %w", err)
	}
	w, err := l.Root.Create(ctx, key)
	if err != nil {
		return "", fmt.Errorf("write the record of rows: %w", err)
	}
	defer w.Abort()
	r.out = rejects.NewRowWriter(w, e.RecordIdentity)
	if err := r.write(ctx, dir); err != nil {
		return "", err
	}
	return key, w.Close()
}

// PublishEnded is Publish for a run that ended early. What it has staged may be
// incomplete or damaged, and then there is no record.
func PublishEnded(ctx context.Context, l *ledger.Ledger, run schemas.RunRef, e schemas.Export, attempt string) (string, error) {
	key, err := Publish(ctx, l, run, e, attempt)
	if ledger.Unusable(err) {
		l.Log.Warn("run ended without a record of its rows", "export", run.Export, "segment", run.Segment, "run", run.RunID)
		return "", nil
	}
	return key, err
}

// write writes the rows of all staged files.
func (r *recorder) write(ctx context.Context, dir string) error {
	if err := r.sent(ctx, dir, schemas.Subscribe, updatesFile); err != nil {
		return err
	}
	if r.export.Record == schemas.RecordSent {
		return r.out.Close()
	}
	if err := r.sent(ctx, dir, schemas.Unsubscribe, suppressedFile); err != nil {
		return err
	}
	err := r.each(ctx, path.Join(dir, restFile), func(k int, b *batch.Batch) error {
		for i := range b.Len() {
			o := schemas.Outcome(b.DataFields(i))
			if o == schemas.OutcomeRejected {
				continue // written with its reason
			}
			if err := r.add(b, i, rejects.Row{Outcome: o}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = r.rejected(ctx, dir)
	}
	if err == nil {
		err = r.out.Close()
	}
	return err
}

// add writes row i of a batch.
func (r *recorder) add(b *batch.Batch, i int, row rejects.Row) error {
	row.Email, row.UserID = b.Email(i), b.UserID(i)
	switch row.Outcome {
	case schemas.OutcomeForgotten:
		row.Email, row.UserID = nil, nil
	case schemas.OutcomeAdded, schemas.OutcomeUpdated, schemas.OutcomeUnchanged:
		if row.Column = r.leftOut.of(b.File(i), b.Row(i)); row.Column != "" {
			row.Reason = schemas.ReasonFieldLeftOut
		}
	}
	inSegment := row.Outcome != schemas.OutcomeRemoved && row.Outcome != schemas.OutcomeAbsent
	if at := int(b.File(i)); inSegment && at < len(r.files) {
		row.File, row.Row = r.files[at], b.Row(i)
	}
	return r.out.Add(row)
}

// each calls f with every batch of a staged file.
func (r *recorder) each(ctx context.Context, key string, f func(k int, b *batch.Batch) error) error {
	staged, err := r.OpenStaged(ctx, key)
	if err != nil {
		return ledger.StagingError("the staged file "+key, err)
	}
	defer staged.Close()
	staged.Recycle()
	for k := range staged.Batches() {
		b, err := staged.Batch(k)
		if err != nil {
			return ledger.StagingError("the staged file "+key, err)
		}
		err = f(k, b)
		b.Release()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// sent writes the rows of the staged file of a kind, with Iterable's answers.
func (r *recorder) sent(ctx context.Context, dir, kind, bits string) error {
	data, err := r.Root.Read(ctx, path.Join(dir, bits))
	if err != nil {
		return ledger.StagingError(bits, err)
	}
	marked := decodeMarks(data)
	requests := r.requests(kind)
	rows := 0 // before batch k
	return r.each(ctx, path.Join(dir, ledger.StagedName(kind)), func(k int, b *batch.Batch) error {
		refused, err := r.Refusals(ctx, kind, k)
		if err != nil {
			return err
		}
		row := requests[k]
		chunk := r.Answers[kind].Chunk(k)
		switch {
		case chunk == nil:
			row.Outcome = schemas.OutcomeUnsent
		case !chunk.Acknowledged(k):
			row.Outcome = schemas.OutcomeUnanswered
		}
		for i := range b.Len() {
			one := row
			if one.Outcome == "" {
				one.Outcome, one.Reason = outcomeOf(kind, marked.has(rows+i), refused, b.Key(i))
			}
			if err := r.add(b, i, one); err != nil {
				return err
			}
		}
		rows += b.Len()
		return nil
	})
}

// outcomeOf returns what Iterable's answer means for a profile.
func outcomeOf(kind string, marked bool, refused map[snapshot.Key]ledger.Refused, key snapshot.Key) (schemas.Outcome, schemas.Reason) {
	no, named := refused[key]
	switch {
	case named && no.Unsure:
		return schemas.OutcomeUnanswered, ""
	case named && no.Reason == schemas.ReasonIterableForgotten:
		return schemas.OutcomeForgotten, no.Reason
	case named:
		return schemas.OutcomeRefused, no.Reason
	case kind == schemas.Unsubscribe && marked:
		return schemas.OutcomeRemoved, schemas.ReasonSuppressed
	case kind == schemas.Unsubscribe:
		return schemas.OutcomeRemoved, schemas.ReasonLeft
	case marked:
		return schemas.OutcomeUpdated, ""
	}
	return schemas.OutcomeAdded, ""
}

// requests returns the request and the time of each batch of a kind, as far as they are known.
func (r *recorder) requests(kind string) map[int]rejects.Row {
	verb := "add"
	if kind == schemas.Unsubscribe {
		verb = "remove"
	}
	out := map[int]rejects.Row{}
	for _, chunk := range r.Answers[kind] {
		for _, q := range chunk.Requests {
			if len(q.Batches) == 0 {
				continue
			}
			name := fmt.Sprintf("%s %d", verb, slices.Min(q.Batches))
			for _, k := range q.Batches {
				out[k] = rejects.Row{Request: name, At: q.At}
			}
		}
	}
	return out
}

// rejected writes the rows that staging rejected.
func (r *recorder) rejected(ctx context.Context, dir string) error {
	file, err := r.Root.Open(ctx, path.Join(dir, dataroot.RejectsFile))
	if err != nil {
		return ledger.StagingError(dataroot.RejectsFile, err)
	}
	defer file.Close()
	rows, err := rejects.Open(file)
	if err != nil {
		return fmt.Errorf("write the record of rows: %w", err)
	}
	defer rows.Close()
	var failed error
	next, stop := iter.Pull(r.rejectedPeople(ctx, dir, &failed))
	defer stop()
	index := make(map[string]int, len(r.files))
	for i, name := range r.files {
		index[name] = i
	}
	person, named := next()
	without := 0 // people that no reject is of
	for {
		no, ok := rows.Next()
		if !ok {
			if err := errors.Join(rows.Err(), failed); err != nil {
				return err
			}
			if without > 0 || named {
				return ledger.StagingError(restFile, fmt.Errorf("%w: it has rejected rows that %s lacks", ledger.ErrDamaged, dataroot.RejectsFile))
			}
			return nil
		}
		at, known := index[no.File]
		for known && named && person.compare(at, no.Row) < 0 {
			without++
			person, named = next()
		}
		row := rejects.Row{Outcome: schemas.OutcomeRejected, Reason: no.Reason, Column: no.Column, File: no.File, Row: no.Row}
		if known && named && person.compare(at, no.Row) == 0 {
			row.Email, row.UserID = bytes.Clone(person.email), bytes.Clone(person.userID)
			person, named = next()
		}
		switch no.Reason {
		case schemas.ReasonDuplicate:
			row.Outcome, row.Column = schemas.OutcomeDuplicate, ""
		case schemas.ReasonIterableForgotten:
			row.Outcome, row.Column = schemas.OutcomeForgotten, ""
		}
		switch { // columns are named as in the file, whose case may differ from the export's
		case strings.EqualFold(no.Column, r.export.Email):
			row.Email = Comparable(no.Value)
		case strings.EqualFold(no.Column, r.export.UserID):
			row.UserID = no.Value
		}
		if err := r.out.Add(row); err != nil {
			return err
		}
	}
}

// Comparable returns a rejected address in the form in which addresses are compared and hashed,
// as far as it has one.
func Comparable(raw []byte) []byte {
	if address, reason := email.Normalize(raw, nil, email.Options{AllowUnknownTLD: true}); reason == "" {
		return address
	}
	return raw
}
