// Package people finds and forgets one person in the data root: in the snapshots of lists, the
// records of rows, the rejects and the examples of checks. Nothing that it returns or logs has
// more of the person than was asked for.
package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Place is where people are looked for.
type Place struct {
	Root *storage.Root
	// Project returns the type of a connection's project. known is false if the connection does
	// not exist any more.
	Project func(connection string) (projectType string, known bool)
	Log     *slog.Logger // of files that could not be searched; nil logs nothing
}

// Find returns where a person is. With history it reads the records of past runs too.
func (p Place) Find(ctx context.Context, who Person, history bool) (Found, error) {
	out := Found{Lists: []FoundList{}}
	f := &finder{Place: p, Person: who, found: &out, searched: map[list]bool{}, from: map[list]time.Time{}}
	if err := f.snapshots(ctx); err != nil {
		return out, err
	}
	if history {
		if err := f.records(ctx); err != nil {
			return out, err
		}
	}
	sortLists(out.Lists)
	slices.SortStableFunc(out.Rows, func(a, b FoundRow) int { return b.At.Compare(a.At) })
	if history {
		f.explain()
	}
	return out, nil
}

func sortLists(lists []FoundList) {
	slices.SortFunc(lists, func(a, b FoundList) int {
		return cmp.Or(strings.Compare(a.Export, b.Export), strings.Compare(a.Segment, b.Segment))
	})
}

// finder looks for one person in the data root.
type finder struct {
	Place
	Person
	found    *Found
	searched map[list]bool      // lists whose snapshot was searched
	from     map[list]time.Time // end of the oldest run of a list whose record was searched
}

// list names a list by what fills it.
type list struct{ connection, export, segment string }

func (l FoundList) of() list { return list{l.Connection, l.Export, l.Segment} }
func (r FoundRow) of() list  { return list{r.Connection, r.Export, r.Segment} }

// explain sets what the rows say of each list: since when the person is on it, or why they are not.
func (f *finder) explain() {
	on, rows, explained := map[list]bool{}, map[list][]FoundRow{}, map[list]bool{}
	for _, r := range f.found.Rows {
		if r.Export != "" { // whose report was deleted meanwhile
			rows[r.of()] = append(rows[r.of()], r)
		}
	}
	for i := range f.found.Lists {
		l := &f.found.Lists[i]
		on[l.of()], l.RecordsFrom = true, f.from[l.of()]
		l.sent(rows[l.of()])
	}
	for of, about := range rows {
		if on[of] || f.unsearched(of) {
			continue
		}
		switch r := why(about); r.Outcome {
		case schemas.OutcomeAdded, schemas.OutcomeUpdated, schemas.OutcomeUnchanged: // on the list then
		default:
			f.found.NotOn = append(f.found.NotOn, r)
			explained[of] = true
		}
	}
	slices.SortFunc(f.found.NotOn, func(a, b FoundRow) int {
		return cmp.Or(strings.Compare(a.Export, b.Export), strings.Compare(a.Segment, b.Segment), strings.Compare(a.Connection, b.Connection))
	})
	for of := range f.searched {
		if !on[of] && !explained[of] {
			f.found.Unexplained++
		}
	}
}

// unsearched reports whether the snapshot of a list could not be searched.
func (f *finder) unsearched(of list) bool {
	dir := dataroot.SnapshotDir(of.connection, of.export, of.segment)
	return slices.ContainsFunc(f.found.Unreadable, func(key string) bool { return path.Dir(key) == dir })
}

// sent sets since when the person is on the list and when they were last sent, by their rows, the
// newest first. Rows before a removal are of an earlier time on the list.
func (l *FoundList) sent(rows []FoundRow) {
	for _, r := range rows {
		switch {
		case r.Outcome == schemas.OutcomeRemoved:
			return
		case l.LastSent.IsZero() && (r.Outcome == schemas.OutcomeAdded || r.Outcome == schemas.OutcomeUpdated):
			l.LastSent = r.At
		}
		if r.Outcome == schemas.OutcomeAdded {
			l.Since = &FoundRun{r.RunID, r.At}
			return
		}
	}
}

// why returns the row of the newest run that says most about why the person is not on the list.
// Another row of a duplicate says more.
func why(rows []FoundRow) FoundRow {
	for _, r := range rows {
		if r.RunID == rows[0].RunID && r.Outcome != schemas.OutcomeDuplicate {
			return r
		}
	}
	return rows[0]
}

// open opens a file and counts what is read of it. ok is false if the file is gone.
func (f *finder) open(ctx context.Context, key string) (file storage.File, ok bool, err error) {
	file, err = f.Root.Open(ctx, key)
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
	found *Found
}

func (c *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(p, off)
	c.found.Reads++
	c.found.Bytes += int64(n)
	return n, err
}

// snapshots searches the newest snapshot of every segment.
func (f *finder) snapshots(ctx context.Context) error {
	newest, err := f.newest(ctx, dataroot.SnapshotsDir)
	if err != nil {
		return err
	}
	for dir, version := range newest {
		key := path.Join(dir, dataroot.SnapshotName(version))
		ok, err := f.snapshot(ctx, key)
		if !ok && err == nil { // a run has published a newer one in the meantime
			again, failed := f.newest(ctx, dir)
			if again[dir] == 0 && failed == nil {
				continue // the export was removed
			}
			if err = failed; err == nil {
				key = path.Join(dir, dataroot.SnapshotName(again[dir]))
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
	err := f.Root.Walk(ctx, dir, func(o storage.Object) error {
		if v, ok := dataroot.SnapshotVersion(path.Base(o.Name)); ok {
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
	err := f.Root.Walk(ctx, dataroot.SnapshotsDir, func(o storage.Object) error {
		if base := path.Base(o.Name); strings.HasPrefix(base, dataroot.PendingPrefix) && !strings.HasPrefix(base, forgettingPrefix) {
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
	h := s.Header()
	members, err := f.members(ctx, s)
	if err == nil {
		f.searched[list{h.Connection, h.Export, h.Segment}] = true
	}
	for _, m := range members {
		f.found.Lists = append(f.found.Lists, listOf(h, m))
	}
	return true, err
}

// listOf returns the list of a snapshot with a member.
func listOf(h snapshot.Header, m snapshot.Member) FoundList {
	return FoundList{
		Connection: h.Connection, Export: h.Export, Segment: h.Segment, ListID: h.ListID, Unconfirmed: m.Fields == snapshot.Unconfirmed,
		RunID: strings.TrimSuffix(h.RunID, snapshot.Unfinished), At: h.CreatedAt,
	}
}

// members returns the members of a snapshot with the identifier. It looks them up by the key
// that the project's type gives them. A member may have the other identifier too. So the
// whole snapshot is read for an address where the key is the user ID, and for a user ID where the
// key is the address.
func (f *finder) members(ctx context.Context, s *snapshot.Snapshot) ([]snapshot.Member, error) {
	project, known := f.Project(s.Header().Connection)
	byEmail := project != schemas.ProjectUserID && project != schemas.ProjectHybrid
	if !known || byEmail != (f.email != nil) {
		return s.Scan(ctx, f.ids...)
	}
	if byEmail {
		return s.Find(ctx, batch.KeyHash(f.email, nil, schemas.ProjectEmail))
	}
	var keys []snapshot.Key
	for _, id := range f.ids {
		keys = append(keys, batch.KeyHash(nil, id, schemas.ProjectUserID))
	}
	return s.Find(ctx, keys...)
}

// records searches the records of the rows of past runs.
func (f *finder) records(ctx context.Context) error {
	var keys []storage.Object
	err := f.Root.Walk(ctx, dataroot.ReportsDir, func(o storage.Object) error {
		if path.Base(o.Name) == dataroot.RowsFile {
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
	err = rejects.FindRows(ctx, file, f.isRow, func(r rejects.Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	var report schemas.ExportReport
	known, err := f.Root.ReadJSON(ctx, path.Join(path.Dir(o.Name), dataroot.ReportFile), &report)
	if err != nil && len(rows) > 0 {
		return err
	}
	of := list{report.Connection, report.Export, report.Segment}
	if from, ok := f.from[of]; known && (!ok || report.FinishedAt.Before(from)) {
		f.from[of] = report.FinishedAt
	}
	for _, r := range rows {
		at := r.At
		if at.IsZero() {
			at = report.FinishedAt
		}
		f.found.Rows = append(f.found.Rows, FoundRow{
			Connection: report.Connection, Export: report.Export, Segment: report.Segment, RunID: report.RunID, At: at, Outcome: r.Outcome, Reason: r.Reason, Column: r.Column,
		})
	}
	return nil
}
