package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// StagedFile is a staged file that is open for reading by batch.
type StagedFile struct {
	*batch.File
	in *noting
}

// Batch reads batch k. Its error is ErrDamaged if the file is damaged.
func (s *StagedFile) Batch(k int) (*batch.Batch, error) {
	b, err := s.File.Batch(k)
	if err != nil {
		return nil, s.in.blame(err)
	}
	return b, nil
}

// Close closes the file.
func (s *StagedFile) Close() {
	s.File.Close()
	s.in.Close()
}

// OpenStaged opens a staged file.
func (l *Ledger) OpenStaged(ctx context.Context, key string) (*StagedFile, error) {
	file, err := l.Root.Open(ctx, key)
	if errors.Is(err, storage.ErrDamaged) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	in := &noting{File: file}
	staged, err := batch.Open(in, file.Size())
	if err != nil {
		file.Close()
		return nil, in.blame(err)
	}
	return &StagedFile{File: staged, in: in}, nil
}

// ErrDamaged is the error of a staged file with other content than was written.
var ErrDamaged = errors.New("the staged file is damaged")

// noting remembers whether a read failed, which a retry may repair.
type noting struct {
	storage.File
	failed atomic.Bool
}

func (n *noting) ReadAt(p []byte, off int64) (int, error) {
	k, err := n.File.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, storage.ErrDamaged) {
		n.failed.Store(true)
	}
	return k, err
}

// blame returns err as damage, unless the storage failed.
func (n *noting) blame(err error) error {
	if n.failed.Load() {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Unusable reports whether an error says that staged files are missing or damaged.
func Unusable(err error) bool {
	var app *temporal.ApplicationError
	return errors.Is(err, ErrDamaged) || errors.Is(err, storage.ErrDamaged) || errors.As(err, &app) && app.Type() == schemas.ErrorStaging
}

// StagingError returns the error of a staged file that can't be read. If the data root and
// not the file is at fault, it can be retried.
func StagingError(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf("%s is missing (%v); retry stages the segment again", what, err))
	case errors.Is(err, ErrDamaged):
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf("%s can't be read (%v); retry stages the segment again", what, err))
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// eachStaged calls f with each profile of a staged file.
func (l *Ledger) eachStaged(ctx context.Context, key string, f func(*snapshot.Member) error) error {
	staged, err := l.OpenStaged(ctx, key)
	if err != nil {
		return err
	}
	defer staged.Close()
	for k := range staged.Batches() {
		b, err := staged.Batch(k)
		if err != nil {
			return err
		}
		for i := range b.Len() {
			m := snapshot.Member{Key: b.Key(i), Fields: b.Fields(i), Email: b.Email(i), UserID: b.UserID(i)}
			if err := f(&m); err != nil {
				b.Release()
				return err
			}
		}
		b.Release()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
