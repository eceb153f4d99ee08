package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// suppressionFile, beside the snapshot, has the number of entries that each suppression list had
// when the last run was done.
const suppressionFile = "suppression.json"

// SuppressionCounts returns the suppressionFile's numbers, none if there was no run.
func (l *Ledger) SuppressionCounts(ctx context.Context, run schemas.RunRef) (before map[string]int64, err error) {
	data, err := l.Root.Read(ctx, Key(run, suppressionFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil:
		err = json.Unmarshal(data, &before)
	case !errors.Is(err, storage.ErrDamaged):
		return nil, fmt.Errorf("read the sizes of the suppression lists: %w", err)
	}
	if err != nil {
		l.Log.Warn("sizes of suppression lists damaged", "export", run.Export, "segment", run.Segment)
		return nil, nil
	}
	return before, nil
}

// KeepSuppressionCounts stores the sizes of the suppression lists of a run that is done.
func (l *Ledger) KeepSuppressionCounts(ctx context.Context, run schemas.RunRef, lists []schemas.SuppressionCount) error {
	if len(lists) == 0 {
		return nil
	}
	counts := map[string]int64{}
	for _, list := range lists {
		counts[list.Name] = list.Entries
	}
	data, err := json.Marshal(counts)
	if err == nil {
		err = l.Root.Write(ctx, Key(run, suppressionFile), data)
	}
	if err != nil {
		return fmt.Errorf("store the sizes of the suppression lists: %w", err)
	}
	return nil
}
