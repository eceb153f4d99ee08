package lists

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

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/sources"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// hashRules is raised whenever readEntries makes other hashes of the same source, so that
// kept ones are not used any more.
const hashRules = 1

// inspected is a suppression list whose footers were read.
type inspected struct {
	*segment.Segment
	settings schemas.Suppression
	doubts   []string  // what is doubtful about its files
	of       string    // identifies the source, and how it is read
	changed  time.Time // when a file was last written, copied or renamed
	looked   time.Time // before the files were listed
}

// inspect reads the footers of a suppression list.
func inspect(ctx context.Context, c schemas.Connection, of schemas.Suppression) (*inspected, error) {
	located, err := sources.OfSuppression(ctx, c, of)
	if err != nil {
		return nil, err
	}
	s := &inspected{settings: of}
	if s.Segment, err = located.Inspect(ctx, segment.Columns{Email: of.Email + of.EmailSHA256, UserID: of.UserID + of.UserIDSHA256}); err != nil {
		return nil, err
	}
	s.doubts = slices.Clone(s.Warnings())
	if left := located.Leftovers(); left != "" {
		s.doubts = append(s.doubts, left+"; a larger export may have left them behind")
	}
	settings, err := json.Marshal(of)
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
func (r *Reader) readAndKeep(ctx context.Context, c schemas.Connection, l *inspected) (*suppression.Set, suppression.Kept, error) {
	set, kept := new(suppression.Set), suppression.Kept{Of: l.of}
	if err := readEntries(ctx, l.Segment, l.settings, set, &kept); err != nil {
		return nil, kept, err
	}
	set.Seal()
	if l.looked.Sub(l.changed) < settled || !r.isStill(ctx, c, l) {
		return set, kept, nil
	}
	if err := r.keepHashes(ctx, dataroot.SuppressionKey(c.Name, l.settings.Name), set, kept); err != nil {
		if ctx.Err() != nil {
			return nil, kept, err
		}
		r.Log.Warn("hashes of suppression list not kept, so the next run reads it again", "connection", c.Name, "list", l.settings.Name, "error", err)
	}
	return set, kept, nil
}

// isStill reports whether a list is as it was before it was read.
func (r *Reader) isStill(ctx context.Context, c schemas.Connection, l *inspected) bool {
	again, err := inspect(ctx, c, l.settings)
	if err == nil && again.of == l.of {
		return true
	}
	r.Log.Warn("suppression list changed while it was read, so its hashes are not kept", "connection", c.Name, "list", l.settings.Name, "error", err)
	return false
}

// keptHashes returns the hashes that are kept in the data root of exactly this source, or a nil
// set if there are none. Those that can't be read count as none, since the source can be read
// instead, unless the whole data root is unavailable.
func (r *Reader) keptHashes(ctx context.Context, key, of string) (set *suppression.Set, kept suppression.Kept, err error) {
	file, err := r.Root.Open(ctx, key)
	if err == nil {
		defer file.Close()
		set, kept, err = suppression.Read(file, file.Size(), of)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, kept, nil
	case err != nil && (ctx.Err() != nil || errors.Is(err, storage.ErrUnavailable)):
		return nil, kept, err
	case err != nil:
		r.Log.Warn("kept hashes of suppression list can't be read, so the list is read again", "file", key, "error", err)
		return nil, suppression.Kept{}, nil
	}
	return set, kept, nil
}

// keepHashes stores the hashes of a source for the next run.
func (r *Reader) keepHashes(ctx context.Context, key string, set *suppression.Set, kept suppression.Kept) error {
	w, err := r.Root.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := set.Write(w, kept); err != nil {
		return err
	}
	return w.Close()
}
