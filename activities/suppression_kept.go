package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/net/idna"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// hashRules is raised whenever readSuppression makes other hashes of the same source, so that
// kept ones are not used any more.
const hashRules = 1

// suppressionList is a suppression list whose footers were read.
type suppressionList struct {
	*segment.Segment
	list    schemas.Suppression
	doubts  []string  // what is doubtful about its files
	of      string    // identifies the source, and how it is read
	changed time.Time // when a file was last written, copied or renamed
}

// inspectSuppression reads the footers of a suppression list.
func inspectSuppression(ctx context.Context, c schemas.Connection, list schemas.Suppression) (*suppressionList, error) {
	located, err := suppressionFiles(ctx, c, list)
	if err != nil {
		return nil, err
	}
	s := &suppressionList{list: list}
	if s.Segment, err = located.Inspect(ctx, segment.Columns{Email: list.Email + list.EmailSHA256, UserID: list.UserID + list.UserIDSHA256}); err != nil {
		return nil, err
	}
	s.doubts = slices.Clone(s.Warnings())
	if left := located.Leftovers(); left != "" {
		s.doubts = append(s.doubts, left+"; a larger export may have left them behind")
	}
	settings, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode the settings: %w", err)
	}
	_, s.changed = located.LastChange()
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s %d", hashRules, idna.UnicodeVersion, settings, s.Info().Fingerprint, s.changed.UnixNano()))
	s.of = hex.EncodeToString(sum[:])
	return s, nil
}

// settled is how old the last change of a source must be for its hashes to be kept. A change soon
// after another one may leave a file's time and size as they were.
const settled = 5 * time.Second

// readAndKeep reads the hashes of a list from its source, and keeps them in the data root.
func (a *Activities) readAndKeep(ctx context.Context, c schemas.Connection, l *suppressionList) (*suppression.Set, suppression.Kept, error) {
	began := a.clock()
	set, kept := new(suppression.Set), suppression.Kept{Of: l.of}
	if err := readSuppression(ctx, l.Segment, l.list, set, &kept); err != nil {
		return nil, kept, err
	}
	set.Seal()
	if began.Sub(l.changed) < settled {
		return set, kept, nil
	}
	if err := a.keepHashes(ctx, schemas.SuppressionKey(c.Name, l.list.Name), set, kept); err != nil {
		if ctx.Err() != nil {
			return nil, kept, err
		}
		a.Log.Warn("hashes of suppression list not kept, so the next run reads it again", "connection", c.Name, "list", l.list.Name, "error", err)
	}
	return set, kept, nil
}

// keptHashes returns the hashes that are kept in the data root of exactly this source, or a nil set if there are none. Damaged ones
// count as none.
func (a *Activities) keptHashes(ctx context.Context, key, of string) (set *suppression.Set, kept suppression.Kept, err error) {
	file, err := a.Root.Open(ctx, key)
	if err == nil {
		defer file.Close()
		set, kept, err = suppression.Read(file, file.Size(), of)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, kept, nil
	case errors.Is(err, suppression.ErrDamaged), errors.Is(err, storage.ErrDamaged):
		a.Log.Warn("kept hashes of suppression list damaged, so it is read again", "file", key)
		return nil, kept, nil
	case err != nil:
		return nil, kept, err
	}
	return set, kept, nil
}

// keepHashes stores the hashes of a source for the next run.
func (a *Activities) keepHashes(ctx context.Context, key string, set *suppression.Set, kept suppression.Kept) error {
	w, err := a.Root.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := set.Write(w, kept); err != nil {
		return err
	}
	return w.Close()
}
