package access

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// mostAudit is the size from which on a file of the audit trail gets no more entries, in bytes: some
// 4,000 entries. Each addition writes the whole file, since objects of buckets can't be appended to.
const mostAudit = 1 << 20

// auditLine is a line of the audit trail. The ID comes first (hasEntry).
type auditLine struct {
	ID string `json:"id"`
	schemas.AuditEntry
}

// trail has what the additions to the audit trail of a process share. One at a time writes, and takes
// the others that wait along. So however many there are at once, the file is written few times, and
// only as many processes as there are contend for it.
type trail struct {
	turn chan struct{} // has an entry while an addition has its turn

	mu sync.Mutex
	// waiting are the additions that are not done, by month and ID.
	waiting map[string]map[string]*addition
	// part is the one of the month that gets entries. Earlier ones are full.
	month string
	part  int
}

// addition is a line that is being added.
type addition struct {
	month, id string
	line      []byte
	written   bool // by another addition
}

// turnTime bounds how long an addition waits for its turn. Without one it is as safe, but in the way of
// others.
const turnTime = 2 * time.Second

// Audit adds an entry to the audit trail. An entry with an id is added once, however often it is
// reported; without one it is always new.
func (g *Gate) Audit(ctx context.Context, id string, e schemas.AuditEntry) error {
	if e.At.IsZero() {
		e.At = g.now()
	}
	e.At = e.At.UTC()
	if id == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		id = hex.EncodeToString(random[:])
	}
	line, err := json.Marshal(auditLine{id, e})
	if err == nil {
		err = g.add(ctx, &addition{month: dataroot.AuditMonth(e.At), id: id, line: append(line, '\n')})
	}
	if err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

func (g *Gate) add(ctx context.Context, a *addition) error {
	t := &g.trail
	t.begin(a)
	defer t.end(a)
	late := time.NewTimer(turnTime)
	defer late.Stop()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-late.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	for part := t.next(a); part > 0; part = t.next(a) {
		exists, full, taken := false, false, []*addition(nil)
		err := g.root.Update(ctx, dataroot.AuditKey(a.month, part), func(old []byte) (data []byte, err error) {
			exists = old != nil
			if taken = nil; hasEntry(old, a.id) {
				return nil, nil
			}
			if full = len(old) >= mostAudit; full {
				return nil, nil
			}
			data, taken = t.added(old, a)
			return data, nil
		})
		switch {
		case err == nil && !full:
			t.done(taken)
			return nil
		case err != nil && exists && ctx.Err() == nil && !errors.Is(err, lease.ErrLost) && !errors.Is(err, lease.ErrUnanswered):
			// The storage lets nobody replace the part, or not now. Let the month go on in a new one.
			if part, err = g.lastPart(ctx, a.month, part); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		t.filled(a.month, part)
	}
	return nil
}

// lastPart returns the last part of a month that exists, given one that does. If none can be replaced,
// there are as many as entries, so it does not look for each.
func (g *Gate) lastPart(ctx context.Context, month string, part int) (_ int, err error) {
	exists := func(part int) (has bool) {
		if err == nil {
			has, err = g.root.Has(ctx, dataroot.AuditKey(month, part))
		}
		return has
	}
	step := 1
	for exists(part + step) {
		part += step
		step *= 2
	}
	return part + sort.Search(step-1, func(i int) bool { return !exists(part + 1 + i) }), err
}

func (t *trail) begin(a *addition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting[a.month] == nil {
		t.waiting[a.month] = map[string]*addition{}
	}
	t.waiting[a.month][a.id] = a
}

func (t *trail) end(a *addition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of := t.waiting[a.month]; of[a.id] == a { // not a retry, which came meanwhile
		delete(of, a.id)
	}
	if len(t.waiting[a.month]) == 0 {
		delete(t.waiting, a.month)
	}
}

// next returns the part of the trail to try to add to, or 0 if another addition has written the line.
func (t *trail) next(a *addition) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case a.written:
		return 0
	case t.month == a.month:
		return t.part
	}
	return 1
}

// filled notes that a part, and those before it, are full.
func (t *trail) filled(month string, part int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.month != month || t.part <= part {
		t.month, t.part = month, part+1
	}
}

// added returns the content of a file with an addition, and with those that wait, which it returns
// too, behind the old content.
func (t *trail) added(old []byte, a *addition) (data []byte, all []*addition) {
	data = slices.Clone(old)
	if len(data) > 0 && data[len(data)-1] != '\n' { // a torn line stays one of its own
		data = append(data, '\n')
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := maps.Clone(t.waiting[a.month])
	lines[a.id] = a
	for _, id := range slices.Sorted(maps.Keys(lines)) {
		if one := lines[id]; one == a || !hasEntry(old, id) {
			data, all = append(data, one.line...), append(all, one)
		}
	}
	return data, all
}

// done notes that additions are written.
func (t *trail) done(all []*addition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range all {
		one.written = true
	}
}

// hasEntry reports whether a file of the trail has the entry with an ID.
func hasEntry(file []byte, id string) bool {
	quoted, err := json.Marshal(id)
	begin := slices.Concat([]byte(`{"id":`), quoted, []byte(`,`))
	for line := range bytes.Lines(file) {
		if bytes.HasPrefix(line, begin) && bytes.HasSuffix(line, []byte("}\n")) {
			return err == nil
		}
	}
	return false
}

// auditReaders is how many files are read at the same time.
const auditReaders = 16

// Trail returns the entries of the audit trail since a time, the oldest first. What is no entry in its
// files is among them as AuditDamaged.
func (g *Gate) Trail(ctx context.Context, since time.Time) ([]schemas.AuditEntry, error) {
	first := dataroot.AuditMonth(since)
	var keys []string
	err := g.root.Walk(ctx, dataroot.AuditDir, func(o storage.Object) error {
		if monthOf(o.Name) >= first {
			keys = append(keys, o.Name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	slices.Sort(keys)
	files := make([][]auditLine, len(keys))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(auditReaders)
	for i, key := range keys {
		readers.Go(func() error {
			data, err := g.root.Read(ctx, key)
			files[i] = linesOf(key, data)
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	var entries []schemas.AuditEntry
	seen := map[string]bool{} // one that is reported late can be in two files
	for _, line := range slices.Concat(files...) {
		// Damage is of the time of the entry before it or later: it is shown whatever since is.
		if (!line.At.Before(since) || line.What == schemas.AuditDamaged) && !seen[line.ID] {
			entries = append(entries, line.AuditEntry)
		}
		seen[line.ID] = line.ID != ""
	}
	slices.SortStableFunc(entries, func(a, b schemas.AuditEntry) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(string(a.What), string(b.What)))
	})
	return entries, nil
}

// monthOf returns the month in the name of a file of the trail. Earlier versions kept a folder for each
// month, with a file for each entry.
func monthOf(key string) string {
	month, _, _ := strings.Cut(strings.TrimPrefix(key, dataroot.AuditDir+"/"), "/")
	month, _, _ = strings.Cut(month, ".")
	return month
}

// linesOf returns the lines of a file of the trail. The lines that are no entries become one, with the
// time of the entry before the first of them.
func linesOf(key string, data []byte) (out []auditLine) {
	at, _ := time.Parse("2006-01", monthOf(key))
	var damaged auditLine
	n, bad, first := 0, 0, 0
	for text := range bytes.Lines(data) {
		n++
		var line auditLine
		if err := json.Unmarshal(text, &line); err == nil && line.What != "" && !line.At.IsZero() {
			out, at = append(out, line), line.At
			continue
		}
		if bad++; bad == 1 {
			first, damaged.At = n, at
		}
	}
	if bad == 0 {
		return out
	}
	damaged.What, damaged.Details = schemas.AuditDamaged, fmt.Sprintf("%d of %d lines of %s are not entries; the first is line %d", bad, n, key, first)
	return append(out, damaged)
}
