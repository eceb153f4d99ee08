package staging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// unlisted records the rows of a divided segment that are for no list, for an export that records
// all rows. Those of a list are in the list's record. A nil one records nothing.
type unlisted struct {
	file *storage.Writer
	out  *rejects.RowWriter
}

func newUnlisted(ctx context.Context, root *storage.Root, dir string, e schemas.Export) (*unlisted, error) {
	if e.Record != schemas.RecordAll {
		return nil, nil
	}
	file, err := root.Create(ctx, path.Join(dir, dataroot.RowsFile))
	if err != nil {
		return nil, fmt.Errorf("make the divided rows: %w", err)
	}
	return &unlisted{file, rejects.NewRowWriter(file, e.RecordIdentity)}, nil
}

// add records a row. why is empty if the row does not match the
// segment's condition.
func (u *unlisted) add(s *staging, b segment.Batch, i int, why schemas.Reason, emails, users *segment.StringColumn) error {
	if u == nil {
		return nil
	}
	r := s.identifyRow(i, emails, users)
	at := at(b, i)
	address, userID := s.recorded(&r, users)
	return u.out.Add(rejects.Row{Email: address, UserID: userID, Outcome: schemas.OutcomeFiltered, Reason: why, File: s.names[at.file], Row: at.row})
}

func (u *unlisted) close() error {
	if u == nil {
		return nil
	}
	if err := errors.Join(u.out.Close(), u.file.Close()); err != nil {
		return fmt.Errorf("write the divided rows: %w", err)
	}
	return nil
}

func (u *unlisted) abort() {
	if u != nil {
		u.file.Abort()
	}
}

// PublishUnlisted keeps the record of the rows that are for no list beside the report of a divided
// segment. It returns the file's key, or "" if there is none.
func PublishUnlisted(ctx context.Context, l *ledger.Ledger, run schemas.RunRef, attempt string) (string, error) {
	key := path.Join(dataroot.ReportDir(run), dataroot.RowsFile)
	from, err := l.Root.Open(ctx, path.Join(dataroot.StagedDir(run, attempt), dataroot.RowsFile))
	if errors.Is(err, fs.ErrNotExist) {
		if from, err = l.Root.Open(ctx, key); errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err == nil { // by an earlier try, which got no answer
			return key, from.Close()
		}
	}
	if err != nil {
		return "", fmt.Errorf("write the record of rows: %w", err)
	}
	defer from.Close()
	to, err := l.Root.Create(ctx, key)
	if err == nil {
		defer to.Abort()
		if _, err = io.Copy(to, io.NewSectionReader(from, 0, from.Size())); err == nil {
			err = to.Close()
		}
	}
	if err != nil {
		return "", fmt.Errorf("write the record of rows: %w", err)
	}
	return key, nil
}
