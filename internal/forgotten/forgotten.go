// Package forgotten keeps, for each connection, the profiles that Iterable has forgotten: those
// that it lists, and those that it refused to a run. They are never sent again. Only their
// hashes are kept.
package forgotten

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// Hash is the hash of an address or user ID, trimmed and in lower case. GET
// /api/users/forgotten lists forgotten profiles by the whole SHA-256.
type Hash = suppression.Hash

// HashOf returns the hash of an address or user ID.
func HashOf(id []byte) Hash { return suppression.Address(id) }

// People is a sorted list of the profiles that a project has forgotten.
type People []Hash

// Has reports whether a profile is among them, by the identifier that the project uses.
func (f People) Has(email, userID []byte, projectType string) bool {
	if len(f) == 0 {
		return false
	}
	for i, id := range [][]byte{email, userID} {
		if len(id) == 0 || i == 0 && projectType == schemas.ProjectUserID || i == 1 && projectType == schemas.ProjectEmail {
			continue
		}
		if f.contains(HashOf(id)) {
			return true
		}
	}
	return false
}

func (f People) contains(h Hash) bool {
	_, found := slices.BinarySearchFunc(f, h, Hash.Compare)
	return found
}

// sorted puts hashes in order, each once.
func (f People) sorted() People {
	slices.SortFunc(f, Hash.Compare)
	return slices.Compact(f)
}

func (f People) encode() []byte {
	out := make([]byte, 0, len(f)*len(Hash{}))
	for _, h := range f {
		out = append(out, h[:]...)
	}
	return out
}

// Store reads and writes the hashes in the data root.
type Store struct {
	Root *storage.Root
	Log  *slog.Logger
}

// A connection's dataroot.ForgottenDir has two kinds of files. A listed file holds Iterable's
// answer, and its name the time of the request: a late answer does not replace a newer one.
// A reported file holds the profiles that Iterable refused to an attempt as forgotten.
const (
	listedPrefix   = "listed-"
	reportedPrefix = "reported-"
)

// AddListed adds the profiles of an incomplete list to the known ones.
func (s Store) AddListed(ctx context.Context, run schemas.RunRef, hashes []string) error {
	some, err := decode(hashes)
	if err != nil {
		return err
	}
	return s.Remember(ctx, run.Connection, schemas.PathName(run.RunID), some)
}

// decode reads SHA-256 sums in hexadecimal.
func decode(hashes []string) (out People, err error) {
	for _, text := range hashes {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return nil, errors.New("the list of forgotten profiles has an entry that is not a SHA-256 sum")
		}
		out = append(out, Hash(sum[:16]))
	}
	return out.sorted(), nil
}

// Replace stores the profiles that Iterable lists in place of the previous list, and
// deletes reports that the list covers.
func (s Store) Replace(ctx context.Context, connection string, asked time.Time, hashes []string) error {
	listed, err := decode(hashes)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s%020d", listedPrefix, asked.UnixNano())
	if err := s.Root.Write(ctx, path.Join(dataroot.ForgottenDir(connection), name), listed.encode()); err != nil {
		return fmt.Errorf("keep who is forgotten: %w", err)
	}
	err = s.each(ctx, connection, func(f storage.Object, some People) error {
		unlisted := func(h Hash) bool { return !listed.contains(h) }
		base := path.Base(f.Name)
		// A report that the list does not have after a day is about a profile that is
		// not forgotten any more.
		fresh := strings.HasPrefix(base, reportedPrefix) && slices.ContainsFunc(some, unlisted) && asked.Sub(f.ModTime) < 24*time.Hour
		if strings.HasPrefix(base, listedPrefix) && base >= name || fresh {
			return nil
		}
		return s.Root.DeletePrefix(ctx, f.Name)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another run is about to do the same
	}
	return err
}

// Known returns the profiles known to be forgotten.
func (s Store) Known(ctx context.Context, connection string) (People, error) {
	for tries := 0; ; tries++ {
		all, err := s.read(ctx, connection)
		if errors.Is(err, fs.ErrNotExist) && tries < 10 {
			continue // another run has just put a newer list in the place of one
		}
		return all, err
	}
}

func (s Store) read(ctx context.Context, connection string) (People, error) {
	var listed, all People
	err := s.each(ctx, connection, func(f storage.Object, some People) error {
		if strings.HasPrefix(path.Base(f.Name), listedPrefix) {
			listed = some // the newest comes last
		} else {
			all = append(all, some...)
		}
		return nil
	})
	return append(all, listed...).sorted(), err
}

// each reads the files of forgotten profiles, in the order of their names. Damaged
// ones count as empty: the next list replaces them.
func (s Store) each(ctx context.Context, connection string, do func(f storage.Object, some People) error) error {
	files, err := s.Root.List(ctx, dataroot.ForgottenDir(connection))
	if err != nil {
		return fmt.Errorf("look for who is forgotten: %w", err)
	}
	for _, f := range files {
		data, err := s.Root.Read(ctx, f.Name)
		if errors.Is(err, storage.ErrDamaged) || err == nil && len(data)%len(Hash{}) != 0 {
			s.Log.Warn("forgotten list damaged", "file", f.Name)
			data, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("read who is forgotten: %w", err)
		}
		var some People
		for h := range slices.Chunk(data, len(Hash{})) {
			some = append(some, Hash(h))
		}
		if err := do(f, some); err != nil {
			return err
		}
	}
	return nil
}

// Remember stores the profiles that Iterable refused to an attempt as forgotten, so
// that no later run sends them.
func (s Store) Remember(ctx context.Context, connection, attempt string, people People) error {
	if len(people) == 0 {
		return nil
	}
	if err := s.Root.Write(ctx, path.Join(dataroot.ForgottenDir(connection), reportedPrefix+attempt), people.sorted().encode()); err != nil {
		return fmt.Errorf("keep who is forgotten: %w", err)
	}
	return nil
}
