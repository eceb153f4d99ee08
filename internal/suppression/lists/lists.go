// Package lists reads the suppression lists of a connection. Their hashes are kept in the data
// root, for as long as the source of a list does not change.
package lists

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
	"weak"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// Cache shares the suppression lists of a connection among the segments that are staged
// at the same time: a hundred million hashes are in memory once.
type Cache struct {
	mu    sync.Mutex
	lists map[string]*shared // by connection
}

type shared struct {
	mu sync.Mutex // held while the lists are read
	// of identifies the files that the set is from.
	of     string
	set    weak.Pointer[suppression.Set]
	counts []schemas.SuppressionCount
}

func (c *Cache) of(connection string) *shared {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil {
		c.lists = map[string]*shared{}
	}
	if c.lists[connection] == nil {
		c.lists[connection] = &shared{}
	}
	return c.lists[connection]
}

// Reader reads suppression lists.
type Reader struct {
	Cache *Cache
	Root  *storage.Root
	Log   *slog.Logger
	// Now is the wall clock.
	Now func() time.Time
}

// CanCompare returns an error if the export's rows can't be compared with a list.
func CanCompare(c schemas.Connection, e schemas.Export) error {
	for _, list := range c.Suppress {
		if list.ByEmail() && e.Email != "" || list.ByUserID() && e.UserID != "" {
			continue
		}
		has, lacks := "addresses", "email"
		if !list.ByEmail() {
			has, lacks = "user IDs", "userID"
		}
		return step.NeedOperator(schemas.ErrorSuppression, fmt.Sprintf(
			"suppression list %q of connection %q has %s, and export %q maps no %s column to compare them with; add %s to the export and run it again, or have an administrator add a column to the list and retry",
			list.Name, c.Name, has, e.Name, lacks, lacks))
	}
	return nil
}

// Read reads the suppression lists of a connection, unless they were read before
// and are the same.
func (r *Reader) Read(ctx context.Context, c schemas.Connection) (_ *suppression.Set, counts []schemas.SuppressionCount, warnings []string, err error) {
	shared := r.Cache.of(c.Name)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	found := make([]*inspected, len(c.Suppress))
	of := ""
	for i, list := range c.Suppress {
		looked := r.Now()
		if found[i], err = inspect(ctx, c, list); err != nil {
			return nil, nil, nil, failure(ctx, err, c, list)
		}
		found[i].looked = looked
		for _, doubt := range found[i].doubts {
			warnings = append(warnings, fmt.Sprintf("suppression list %q: %s", list.Name, doubt))
		}
		of += found[i].of
	}
	if set := shared.set.Value(); set != nil && shared.of == of {
		return set, slices.Clone(shared.counts), warnings, nil
	}
	set := new(suppression.Set)
	for i, list := range c.Suppress {
		one, kept, err := r.keptHashes(ctx, dataroot.SuppressionKey(c.Name, list.Name), found[i].of)
		if err != nil { // of the data root
			return nil, nil, nil, fmt.Errorf("read the kept hashes of suppression list %q of connection %q: %w", list.Name, c.Name, err)
		}
		if one == nil {
			one, kept, err = r.readAndKeep(ctx, c, found[i])
		}
		if err == nil {
			err = set.Merge(one)
		}
		if err != nil {
			return nil, nil, nil, failure(ctx, err, c, list)
		}
		counts = append(counts, schemas.SuppressionCount{Name: list.Name, Fingerprint: found[i].Info().Fingerprint, Entries: kept.Entries, Unreadable: kept.Unreadable})
	}
	set.Seal()
	shared.of, shared.set, shared.counts = of, weak.Make(set), slices.Clone(counts)
	r.Log.Info("suppression lists read", "connection", c.Name, "lists", len(c.Suppress), "entries", set.Len())
	return set, counts, warnings, nil
}

// failure returns the error of a suppression list. Only an error of the storage may
// go away by itself.
func failure(ctx context.Context, err error, c schemas.Connection, list schemas.Suppression) error {
	var bad *segment.Error
	if ctx.Err() != nil {
		return err
	}
	if errors.As(err, &bad) && bad.Type == "" || errors.Is(err, storage.ErrUnavailable) {
		return fmt.Errorf("read suppression list %q of connection %q: %w", list.Name, c.Name, err)
	}
	return step.NeedOperator(schemas.ErrorSuppression, fmt.Sprintf(
		"suppression list %q of connection %q can't be read: %s; nothing is sent without it: have an administrator repair it, then retry", list.Name, c.Name, step.Message(err)))
}

// readEntries adds a suppression list to the set, and counts its entries. How it hashes them is
// part of hashRules.
func readEntries(ctx context.Context, seg *segment.Segment, list schemas.Suppression, set *suppression.Set, n *suppression.Kept) error {
	var addresses int64
	hash := map[segment.Role]func([]byte) (suppression.Hash, error){
		segment.UserID: func(id []byte) (suppression.Hash, error) { return suppression.UserID(id), nil },
	}
	var buffer []byte
	hash[segment.Email] = func(raw []byte) (suppression.Hash, error) {
		address, reason := email.Normalize(raw, buffer, email.Options{AllowUnknownTLD: true})
		if reason != "" {
			n.Unreadable++
			return suppression.Address(raw), nil
		}
		addresses++
		return suppression.Address(address), nil
	}
	if list.EmailSHA256 != "" {
		hash[segment.Email] = suppression.Sum
	}
	if list.UserIDSHA256 != "" {
		hash[segment.UserID] = suppression.Sum
	}
	files := seg.Files()
	for b, err := range seg.Read(ctx, segment.Options{}) {
		if err != nil {
			return err
		}
		for i, column := range seg.Columns {
			added, err := addColumn(set, b, i, hash[column.Role])
			if n.Entries += added; err != nil {
				return fmt.Errorf("file %s, column %q: %w", files[b.File], column.Name, err)
			}
		}
	}
	if n.Unreadable > 0 && addresses == 0 {
		return fmt.Errorf("none of the %d values of column %q is an e-mail address; name another column", n.Unreadable, list.Email)
	}
	if rows := seg.Info().Rows; rows > 0 && n.Entries == 0 {
		return fmt.Errorf("none of its %d rows has a value in the columns that it names; a column may have been renamed", rows)
	}
	return nil
}

// addColumn adds the values of a column to the set, and returns how many there were.
func addColumn(set *suppression.Set, b segment.Batch, column int, hash func([]byte) (suppression.Hash, error)) (n int64, err error) {
	values, err := segment.NewStringColumn(b.Column(column))
	if err != nil {
		return 0, err
	}
	for i := range values.Len() {
		value, ok := values.Bytes(i)
		if !ok || len(bytes.TrimSpace(value)) == 0 {
			continue
		}
		h, err := hash(value)
		if err == nil {
			err = set.Add(h)
		}
		if err != nil {
			return n, fmt.Errorf("row %d: %w", b.Offset+int64(i), err)
		}
		n++
	}
	return n, nil
}

// Same returns an error if a suppression list is not as it was when the segment was staged.
func Same(ctx context.Context, c schemas.Connection, staged []schemas.SuppressionCount) error {
	changed := func(what string) error {
		return step.NeedOperator(schemas.ErrorSuppressionChanged, fmt.Sprintf("%s of connection %q changed while the run waited; it starts over", what, c.Name))
	}
	if len(c.Suppress) != len(staged) {
		return changed("the suppression lists")
	}
	for i, list := range c.Suppress {
		found, err := inspect(ctx, c, list)
		if err != nil {
			return failure(ctx, err, c, list)
		}
		if list.Name != staged[i].Name || found.Info().Fingerprint != staged[i].Fingerprint {
			return changed(fmt.Sprintf("suppression list %q", list.Name))
		}
	}
	return nil
}
