package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Forget removes a person from the snapshots, the records, the rejects and the examples of all
// exports. It leaves out what a run that has not finished may still write, and says so. It may
// be repeated: after an interruption it does the rest.
func (p Place) Forget(ctx context.Context, who Person) (schemas.ForgetAnswer, error) {
	f := &forgetter{
		Place: p, Person: who, is: rejects.Is(who.ids...), busy: map[string]bool{},
		answer: schemas.ForgetAnswer{Lists: []schemas.FoundList{}, Files: []schemas.ForgottenIn{}},
	}
	err := f.unfinished(ctx)
	if err == nil {
		err = f.reports(ctx)
	}
	if err == nil { // last: the lists that are known from them are reported
		err = f.snapshots(ctx)
	}
	sortLists(f.answer.Lists)
	return f.answer, err
}

// forgetter removes one person from the data root.
type forgetter struct {
	Place
	Person
	is     func(*rejects.Row) bool
	busy   map[string]bool // folders of snapshots and reports that a run may still write to
	answer schemas.ForgetAnswer
}

// unfinished finds the runs that have not finished: they have staged files, or a marker beside
// the snapshot.
func (f *forgetter) unfinished(ctx context.Context) error {
	staged := map[string]*schemas.UnfinishedRun{}
	err := f.Root.Walk(ctx, schemas.StagedFilesDir, func(o storage.Object) error {
		parts := strings.Split(o.Name, "/") // staging, connection, export, run, segment
		if len(parts) < 6 {
			return nil
		}
		dir := path.Join(parts[:5]...)
		if staged[dir] == nil {
			staged[dir] = &schemas.UnfinishedRun{}
			f.busy[path.Join(schemas.SnapshotsDir, parts[1], parts[2], parts[4])] = true
			f.busy[path.Join(schemas.ReportsDir, parts[1], parts[2], parts[3], parts[4])] = true
		}
		if len(parts) == 6 && parts[5] == ledger.OriginFile {
			_, err := f.Root.ReadJSON(ctx, o.Name, staged[dir])
			f.note(o.Name, err)
		}
		return nil
	})
	for dir, run := range staged {
		run.Folder = dir
		f.answer.Unfinished = append(f.answer.Unfinished, *run)
	}
	if err == nil {
		err = f.Root.Walk(ctx, schemas.SnapshotsDir, func(o storage.Object) error {
			if dir := path.Dir(o.Name); isPending(o.Name) && !f.busy[dir] {
				f.skip(ctx, dir, o.Name)
			}
			return nil
		})
	}
	if err == nil {
		err = f.trials(ctx)
	}
	slices.SortFunc(f.answer.Unfinished, func(a, b schemas.UnfinishedRun) int { return strings.Compare(a.Folder, b.Folder) })
	if err != nil {
		return fmt.Errorf("list the runs that have not finished: %w", err)
	}
	return nil
}

// trials finds the trials that name the person and have not ended. Their files go at their end.
func (f *forgetter) trials(ctx context.Context) error {
	return f.Root.Walk(ctx, schemas.TrialsDir, func(o storage.Object) error {
		if o.Name == schemas.TrialSaltKey {
			return nil
		}
		var of struct {
			People []string `json:"people"`
		}
		if _, err := f.Root.ReadJSON(ctx, o.Name, &of); err != nil {
			return f.unreadable(ctx, o.Name, err)
		}
		if slices.ContainsFunc(of.People, func(id string) bool { return f.means([]byte(id)) }) {
			f.answer.Unfinished = append(f.answer.Unfinished, schemas.UnfinishedRun{Folder: o.Name})
		}
		return nil
	})
}

// forgettingPrefix begins the names of the markers of this package. A run that finds one waits,
// as it does for another run's.
const forgettingPrefix = schemas.PendingPrefix + "forget-"

// isPending reports whether a file is the marker of a run that has not finished.
func isPending(key string) bool {
	base := path.Base(key)
	return strings.HasPrefix(base, schemas.PendingPrefix) && !strings.HasPrefix(base, forgettingPrefix)
}

// skip notes that a run may still write to a snapshot's folder, by its marker; "" if it has gone.
func (f *forgetter) skip(ctx context.Context, dir, marker string) {
	run := schemas.UnfinishedRun{Folder: dir}
	if marker != "" {
		_, err := f.Root.ReadJSON(ctx, marker, &run)
		f.note(marker, err)
	}
	f.busy[dir] = true
	f.answer.Unfinished = append(f.answer.Unfinished, run)
}

// note logs why a run that has not finished is not named.
func (f *forgetter) note(key string, err error) {
	if err != nil && f.Log != nil {
		f.Log.Warn("unfinished run not named", "file", key, "error", err)
	}
}

// unreadable notes a file that could not be searched.
func (f *forgetter) unreadable(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.answer.Unreadable = append(f.answer.Unreadable, key)
	if f.Log != nil {
		f.Log.Warn("file not searched", "file", key, "error", err)
	}
	return nil
}

// others returns 1 if a row of the person has an identifier that is not the one asked for.
func (f *forgetter) others(ids ...[]byte) int64 {
	for _, id := range ids {
		if len(id) > 0 && !f.means(id) {
			return 1
		}
	}
	return 0
}

// reports removes the person from what past runs and checks have kept.
func (f *forgetter) reports(ctx context.Context) error {
	kept := map[string][]string{} // files with people, by folder
	err := f.Root.Walk(ctx, schemas.ReportsDir, func(o storage.Object) error {
		dir, base := path.Split(o.Name)
		if dir = path.Clean(dir); schemas.HasRows(base) && !f.busy[dir] {
			kept[dir] = append(kept[dir], base)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the records of runs: %w", err)
	}
	for dir, names := range kept {
		r := &segmentReport{forgetter: f, dir: dir, at: map[place]bool{}}
		if err := r.forget(ctx, names); err != nil {
			return err
		}
	}
	slices.SortFunc(f.answer.Files, func(a, b schemas.ForgottenIn) int { return strings.Compare(a.File, b.File) })
	return nil
}

// place is where a row is in a segment.
type place struct {
	file string
	row  int64
}

// segmentReport is the folder of one segment's run.
type segmentReport struct {
	*forgetter
	dir string
	at  map[place]bool // the person's rows of the segment
}

// forget removes the person from the files. The record comes last: it has the places of rows that
// were rejected for a value which does not name the person.
func (r *segmentReport) forget(ctx context.Context, names []string) error {
	steps := []struct {
		name string
		do   func(ctx context.Context, key string, keep bool) (rows, others int64, err error)
	}{{schemas.RowsFile, r.rows}, {schemas.RejectsFile, r.rejects}, {schemas.ExamplesFile, r.examples}}
	found := map[string]bool{}
	for _, s := range steps {
		if !slices.Contains(names, s.name) {
			continue
		}
		key := path.Join(r.dir, s.name)
		rows, _, err := s.do(ctx, key, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile, since it was too old
		}
		if err != nil {
			if err := r.unreadable(ctx, key, err); err != nil {
				return err
			}
			continue
		}
		r.answer.Searched++
		found[s.name] = rows > 0
	}
	for _, s := range slices.Backward(steps) {
		if !found[s.name] {
			continue
		}
		key := path.Join(r.dir, s.name)
		rows, others, err := s.do(ctx, key, false)
		if err != nil {
			return fmt.Errorf("remove a person from %s: %w", key, err)
		}
		in := r.named(ctx)
		in.Kind, in.File, in.Rows, in.Others = kinds[s.name], key, rows, others
		r.answer.Files = append(r.answer.Files, in)
	}
	return nil
}

var kinds = map[string]string{schemas.RowsFile: schemas.KindRecord, schemas.RejectsFile: schemas.KindRejects, schemas.ExamplesFile: schemas.KindExamples}

// named returns the names of the run, as far as its report or its record has them.
func (r *segmentReport) named(ctx context.Context) schemas.ForgottenIn {
	var report schemas.ExportReport
	if ok, err := r.Root.ReadJSON(ctx, path.Join(r.dir, schemas.ReportFile), &report); ok && err == nil {
		return schemas.ForgottenIn{Connection: report.Connection, Export: report.Export, Segment: report.Segment, RunID: report.RunID}
	}
	var run schemas.RunRecord
	if ok, err := r.Root.ReadJSON(ctx, path.Join(path.Dir(r.dir), schemas.RunRecordFile), &run); !ok || err != nil {
		return schemas.ForgottenIn{}
	}
	in := schemas.ForgottenIn{Connection: run.Connection.Name, Export: run.Input.Export.Name, RunID: run.RunID}
	for _, s := range run.Input.Export.Segments {
		if schemas.PathName(s.Name) == path.Base(r.dir) {
			in.Segment = s.Name
		}
	}
	return in
}

// rewrite publishes a new version of a file that write writes.
func (r *segmentReport) rewrite(ctx context.Context, key string, write func(*storage.Writer) error) error {
	w, err := r.Root.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := write(w); err != nil {
		return err
	}
	return w.Close()
}

// rows looks for the person in the record, and remembers where their rows are. Unless the file is
// to be kept, it writes it without them.
func (r *segmentReport) rows(ctx context.Context, key string, keep bool) (rows, others int64, err error) {
	file, err := r.Root.Open(ctx, key)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	each := func(left func(rejects.Row) error) error {
		return rejects.ReadRows(ctx, file, func(row *rejects.Row) error {
			if !r.is(row) && !r.sameAddress(row.Email) {
				return left(*row)
			}
			if row.File != "" {
				r.at[place{strings.Clone(row.File), row.Row}] = true
			}
			rows, others = rows+1, others+r.others(row.Email, row.UserID)
			return nil
		})
	}
	if keep {
		return rows, others, each(func(rejects.Row) error { return nil })
	}
	err = r.rewrite(ctx, key, func(w *storage.Writer) error {
		out, err := rejects.NewRowWriter(w, schemas.IdentityPlain) // rows with hashes keep theirs
		if err == nil {
			err = each(out.Add)
		}
		if err != nil {
			return err
		}
		return out.Close()
	})
	return rows, others, err
}

// rejects is rows for the rejects.
func (r *segmentReport) rejects(ctx context.Context, key string, keep bool) (rows, others int64, err error) {
	file, err := r.Root.Open(ctx, key)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	in, err := rejects.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	each := func(left func(rejects.Reject) error) error {
		for row, ok := in.Next(); ok; row, ok = in.Next() {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case r.at[place{row.File, row.Row}] || r.means(row.Value):
				rows++
			default:
				if err := left(row); err != nil {
					return err
				}
			}
		}
		return in.Err()
	}
	if keep {
		return rows, 0, each(func(rejects.Reject) error { return nil })
	}
	err = r.rewrite(ctx, key, func(w *storage.Writer) error {
		out := rejects.NewWriter(w)
		if err := each(out.Add); err != nil {
			return err
		}
		return out.Close()
	})
	return rows, 0, err
}

// means reports whether a value of a rejected row is the person's, however it is written.
func (p Person) means(value []byte) bool {
	if slices.ContainsFunc(p.ids, func(id []byte) bool { return bytes.Equal(value, id) }) || p.sameAddress(value) {
		return true
	}
	address, reason := email.Normalize(value, nil, email.Options{AllowUnknownTLD: true})
	return reason == "" && bytes.Equal(address, p.email)
}

// sameAddress reports whether a value is the person's address in another case, also where it is
// not valid. User IDs of another case are other people's.
func (p Person) sameAddress(value []byte) bool {
	return slices.ContainsFunc(p.ids, func(id []byte) bool {
		return bytes.IndexByte(id, '@') >= 0 && bytes.EqualFold(bytes.TrimSpace(value), bytes.TrimSpace(id))
	})
}

// examples is rows for the examples of a check.
func (r *segmentReport) examples(ctx context.Context, key string, keep bool) (rows, others int64, err error) {
	data, err := r.Root.Read(ctx, key)
	if err != nil {
		return 0, 0, err
	}
	var all schemas.Examples
	if err := json.Unmarshal(data, &all); err != nil {
		return 0, 0, err
	}
	for _, some := range []*[]schemas.Example{&all.Adds, &all.Updates, &all.Removals, &all.Rejects} {
		*some = slices.DeleteFunc(*some, func(e schemas.Example) bool {
			is := r.means([]byte(e.Email)) || r.means([]byte(e.UserID)) || r.means([]byte(e.Value))
			if is {
				rows, others = rows+1, others+r.others([]byte(e.Email), []byte(e.UserID))
			}
			return is
		})
	}
	if keep || rows == 0 {
		return rows, others, nil
	}
	if data, err = json.Marshal(all); err != nil {
		return 0, 0, err
	}
	return rows, others, r.Root.Write(ctx, key, data)
}
