package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Audit adds an entry to the audit trail. Each entry is a file of its own, which is never
// changed: buckets can't append. An entry with an id is added once, however often it is
// reported; without one it is always new.
func (g *Gate) Audit(ctx context.Context, id string, e schemas.AuditEntry) error {
	if e.At.IsZero() {
		e.At = g.now()
	}
	e.At = e.At.UTC()
	if id == "" {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		id = fmt.Sprintf("%d-%s", e.At.UnixNano(), hex.EncodeToString(random[:]))
	} else {
		id = schemas.PathName(id)
	}
	line, err := json.Marshal(e)
	if err == nil {
		err = g.root.WriteNew(ctx, path.Join(dataroot.AuditMonth(e.At), id+".json"), append(line, '\n'))
	}
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// auditReaders is how many entries are read at the same time.
const auditReaders = 16

// Trail returns the entries of the audit trail since a time, the oldest first.
func (g *Gate) Trail(ctx context.Context, since time.Time) ([]schemas.AuditEntry, error) {
	first := path.Base(dataroot.AuditMonth(since))
	var keys []string
	err := g.root.Walk(ctx, dataroot.AuditDir, func(o storage.Object) error {
		if month := path.Base(path.Dir(o.Name)); month >= first {
			keys = append(keys, o.Name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	entries := make([]schemas.AuditEntry, len(keys))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(auditReaders)
	for i, key := range keys {
		readers.Go(func() error {
			_, err := g.root.ReadJSON(ctx, key, &entries[i])
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e schemas.AuditEntry) bool { return e.At.Before(since) })
	slices.SortStableFunc(entries, func(a, b schemas.AuditEntry) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(string(a.What), string(b.What)))
	})
	return entries, nil
}
