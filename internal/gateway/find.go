package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// longestPerson is the longest text that can identify a person, in bytes.
const longestPerson = 1024

func (l *Local) FindPerson(ctx context.Context, in schemas.FindRequest) (schemas.Found, error) {
	out := schemas.Found{Lists: []schemas.FoundList{}}
	id := strings.TrimSpace(in.Person)
	if id == "" || len(in.Person) > longestPerson {
		return out, access.No(schemas.ErrorBadRequest, "name an address or a user ID of at most %d bytes", longestPerson)
	}
	root, err := l.Root(ctx)
	if err != nil {
		return out, err
	}
	f := &finder{Local: l, root: root, found: &out, ids: [][]byte{[]byte(in.Person)}}
	if id != in.Person { // a user ID may begin or end with a space
		f.ids = append(f.ids, []byte(id))
	}
	if address, reason := email.Normalize([]byte(id), nil, email.Options{AllowUnknownTLD: true}); reason == "" {
		f.email = bytes.Clone(address)
		if string(f.email) != id {
			f.ids = append(f.ids, f.email)
		}
	}
	if err := f.snapshots(ctx); err != nil {
		return out, err
	}
	if in.History {
		if err := f.records(ctx); err != nil {
			return out, err
		}
	}
	if err := l.audit(ctx, schemas.AuditSearched, schemas.AuditEntry{Details: "for a person"}); err != nil {
		return out, err
	}
	slices.SortFunc(out.Lists, func(a, b schemas.FoundList) int {
		return cmp.Or(strings.Compare(a.Export, b.Export), strings.Compare(a.Segment, b.Segment))
	})
	slices.SortStableFunc(out.Rows, func(a, b schemas.FoundRow) int { return b.At.Compare(a.At) })
	return out, nil
}

// finder looks for one person in the data root.
type finder struct {
	*Local
	root  *storage.Root
	found *schemas.Found
	ids   [][]byte // as typed, and normalised
	email []byte   // nil if it is no address
}

// open opens a file and counts what is read of it. ok is false if the file is gone.
func (f *finder) open(ctx context.Context, key string) (file storage.File, ok bool, err error) {
	file, err = f.root.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return &countedFile{File: file, found: f.found}, true, nil
}

// countedFile counts the reads of a file.
type countedFile struct {
	storage.File
	found *schemas.Found
}

func (c *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(p, off)
	c.found.Reads++
	c.found.Bytes += int64(n)
	return n, err
}

// snapshots searches the newest snapshot of every segment.
func (f *finder) snapshots(ctx context.Context) error {
	newest, err := f.newest(ctx, schemas.SnapshotsDir)
	if err != nil {
		return err
	}
	for dir, version := range newest {
		key := path.Join(dir, schemas.SnapshotName(version))
		ok, err := f.snapshot(ctx, key)
		if !ok && err == nil { // a run has published a newer one in the meantime
			again, failed := f.newest(ctx, dir)
			if again[dir] == 0 && failed == nil {
				continue // the export was removed
			}
			if err = failed; err == nil {
				key = path.Join(dir, schemas.SnapshotName(again[dir]))
				ok, err = f.snapshot(ctx, key)
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || !ok:
			f.unreadable(key, cmp.Or(err, fs.ErrNotExist))
		}
	}
	return f.unfinished(ctx)
}

// newest returns the version of the newest snapshot in each folder below dir.
func (f *finder) newest(ctx context.Context, dir string) (map[string]int64, error) {
	newest := map[string]int64{}
	err := f.root.Walk(ctx, dir, func(o storage.Object) error {
		if v, ok := schemas.SnapshotVersion(path.Base(o.Name)); ok {
			newest[path.Dir(o.Name)] = max(newest[path.Dir(o.Name)], v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	return newest, nil
}

// unfinished counts the runs whose members are in no snapshot yet.
func (f *finder) unfinished(ctx context.Context) error {
	err := f.root.Walk(ctx, schemas.SnapshotsDir, func(o storage.Object) error {
		if strings.HasPrefix(path.Base(o.Name), schemas.PendingPrefix) {
			f.found.Unfinished++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the runs that have not finished: %w", err)
	}
	return nil
}

// unreadable notes a file that could not be searched.
func (f *finder) unreadable(key string, err error) {
	f.found.Unreadable = append(f.found.Unreadable, key)
	slices.Sort(f.found.Unreadable)
	if f.Log != nil {
		f.Log.Warn("file not searched", "file", key, "error", err)
	}
}

// snapshot searches one snapshot. ok is false if the file is gone.
func (f *finder) snapshot(ctx context.Context, key string) (ok bool, err error) {
	file, ok, err := f.open(ctx, key)
	if !ok || err != nil {
		return ok, err
	}
	defer file.Close()
	s, err := snapshot.OpenAny(file, file.Size())
	if err != nil {
		return true, err
	}
	f.found.Snapshots++
	members, err := f.members(ctx, s)
	for _, m := range members {
		h := s.Header()
		f.found.Lists = append(f.found.Lists, schemas.FoundList{
			Connection: h.Connection, Export: h.Export, Segment: h.Segment, ListID: h.ListID, Unconfirmed: m.Fields == snapshot.Unconfirmed,
			RunID: strings.TrimSuffix(h.RunID, snapshot.Unfinished), At: h.CreatedAt,
		})
	}
	return true, err
}

// members returns the members of a snapshot with the identifier. It looks them up by the key
// that the project's type gives them. A member may have the other identifier too, so that a
// snapshot is read as a whole for an address where members are known by their user ID, and for
// what is no address where they are known by their address.
func (f *finder) members(ctx context.Context, s *snapshot.Snapshot) ([]snapshot.Member, error) {
	byEmail, known := f.byEmail(s.Header().Connection)
	if !known || byEmail != (f.email != nil) {
		return s.Scan(ctx, f.ids...)
	}
	var keys []snapshot.Key
	for _, id := range f.ids {
		keys = append(keys, batch.KeyHash(nil, id, schemas.ProjectUserID))
	}
	if byEmail {
		keys = append(keys, batch.KeyHash(f.email, nil, schemas.ProjectEmail))
	}
	return s.Find(ctx, keys...)
}

// byEmail reports whether addresses identify the profiles of a connection's project. known is
// false if the connection does not exist any more.
func (f *finder) byEmail(connection string) (is, known bool) {
	all, err := f.Known()
	if err != nil {
		return false, false
	}
	c, err := all.Get(connection)
	return c.ProjectType != schemas.ProjectUserID && c.ProjectType != schemas.ProjectHybrid, err == nil
}

// records searches the records of the rows of past runs.
func (f *finder) records(ctx context.Context) error {
	var keys []storage.Object
	err := f.root.Walk(ctx, schemas.ReportsDir, func(o storage.Object) error {
		if path.Base(o.Name) == schemas.RowsFile {
			keys = append(keys, o)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the records of runs: %w", err)
	}
	for _, o := range keys {
		switch err := f.record(ctx, o); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.unreadable(o.Name, err)
		}
	}
	return nil
}

// record searches the record of one run of a segment.
func (f *finder) record(ctx context.Context, o storage.Object) error {
	file, ok, err := f.open(ctx, o.Name)
	if !ok || err != nil {
		return err
	}
	defer file.Close()
	f.found.Records++
	var rows []rejects.Row
	seen := map[string]bool{}
	for _, id := range f.ids {
		err := rejects.FindRows(ctx, file, id, func(r rejects.Row) error {
			if key := fmt.Sprint(r.Outcome, r.File, r.Row); !seen[key] {
				seen[key], rows = true, append(rows, r)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var report schemas.ExportReport
	if _, err := f.root.ReadJSON(ctx, path.Join(path.Dir(o.Name), schemas.ReportFile), &report); err != nil {
		return err
	}
	for _, r := range rows {
		at := r.At
		if at.IsZero() {
			at = report.FinishedAt
		}
		f.found.Rows = append(f.found.Rows, schemas.FoundRow{
			Connection: report.Connection, Export: report.Export, Segment: report.Segment, RunID: report.RunID, At: at, Outcome: r.Outcome, Reason: r.Reason,
		})
	}
	return nil
}
