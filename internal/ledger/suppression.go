package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// suppressed is how many entries a suppression list had.
type suppressed struct {
	Entries int64 `json:"entries"`
}

// segmentCounts is the name of a file beside a snapshot, with the entries of each list at the last
// run of that segment. Data roots have it from before the count was kept for the whole connection.
const segmentCounts = "suppression.json"

// SuppressionCount returns how many entries a suppression list of a connection had when a run over
// the connection was last done, whichever segment it sent; 0 if there was none.
func (l *Ledger) SuppressionCount(ctx context.Context, connection, list string) (entries int64, err error) {
	entries, _, err = l.suppressionCount(ctx, connection, list)
	return entries, err
}

// suppressionCount is SuppressionCount. known is false if the count is not kept, or only for
// segments.
func (l *Ledger) suppressionCount(ctx context.Context, connection, list string) (entries int64, known bool, err error) {
	var kept suppressed
	if known, err = l.readCount(ctx, dataroot.SuppressionCountKey(connection, list), &kept); known || err != nil {
		return kept.Entries, known, err
	}
	err = l.Root.Walk(ctx, dataroot.ConnectionSnapshots(connection), func(o storage.Object) error {
		if path.Base(o.Name) != segmentCounts {
			return nil
		}
		var counts map[string]int64
		_, err := l.readCount(ctx, o.Name, &counts)
		entries = max(entries, counts[list])
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("look for the sizes of the suppression lists: %w", err)
	}
	return entries, false, nil
}

// readCount reads a file with sizes of suppression lists. known is false if it is missing or
// damaged.
func (l *Ledger) readCount(ctx context.Context, key string, out any) (known bool, err error) {
	data, err := l.Root.Read(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil:
		err = json.Unmarshal(data, out)
	case !errors.Is(err, storage.ErrDamaged):
		return false, fmt.Errorf("read the sizes of the suppression lists: %w", err)
	}
	if err != nil {
		l.Log.Warn("sizes of suppression lists damaged", "file", key)
		return false, nil
	}
	return true, nil
}

// KeepSuppressionCounts stores the sizes of the suppression lists of a connection as a run that is
// done has found them. A size that was compared with another one than is stored now does not lower
// that: nobody has looked at the difference.
func (l *Ledger) KeepSuppressionCounts(ctx context.Context, connection string, lists []schemas.SuppressionCount) error {
	for _, list := range lists {
		last, known, err := l.suppressionCount(ctx, connection, list.Name)
		if err != nil {
			return err
		}
		if known && list.Entries == last || list.Entries < last && list.Before != last {
			continue
		}
		if err := l.Root.WriteJSON(ctx, dataroot.SuppressionCountKey(connection, list.Name), suppressed{list.Entries}); err != nil {
			return fmt.Errorf("store the size of a suppression list: %w", err)
		}
	}
	return nil
}
