package people

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// foldersAtOnce is how many folders are searched before what was found is removed, and
// searchesAtOnce how many of them at a time.
const (
	foldersAtOnce  = 32
	searchesAtOnce = 8
)

// reports removes the person from what past runs and checks have kept, folder by folder in the
// order of their names.
func (f *forgetter) reports(ctx context.Context) error {
	kept := map[string][]string{} // files with people, by folder
	fresh := map[string]bool{}
	err := f.Root.Walk(ctx, dataroot.ReportsDir, func(o storage.Object) error {
		dir, base := path.Split(o.Name)
		if dir = path.Clean(dir); dataroot.HasRows(base) && !f.busy[dir] {
			kept[dir] = append(kept[dir], base)
			fresh[dir] = f.isNew(o) || fresh[dir]
		}
		return nil
	})
	if err := f.goOn(ctx, dataroot.ReportsDir, err); err != nil {
		return err
	}
	maps.DeleteFunc(fresh, func(_ string, is bool) bool { return !is })
	for dirs := range slices.Chunk(slices.Sorted(maps.Keys(fresh)), foldersAtOnce) {
		folders := make([]*segmentReport, len(dirs))
		g, searching := errgroup.WithContext(ctx)
		g.SetLimit(searchesAtOnce)
		for i, dir := range dirs {
			folders[i] = newSegmentReport(f, dir)
			g.Go(func() error { return folders[i].search(searching, kept[dir]) })
		}
		if err := g.Wait(); err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		for _, folder := range folders { // one at a time, since each is soon done
			if err := folder.remove(ctx); err != nil {
				return err
			}
		}
	}
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
	dir   string
	at    map[place]bool // the person's rows of the segment
	steps []step
}

// step removes the person from one file of the folder.
type step struct {
	name string
	// do counts the person's rows, and those of them with another identifier too. Unless the file
	// is to be kept, it also removes them.
	do           func(ctx context.Context, key string, keep bool) (rows, others int64, err error)
	rows, others int64 // that were found
}

// newSegmentReport returns a folder with its steps. The record is searched first, and rewritten last:
// it has the places of rows that were rejected for a value which does not name the person.
func newSegmentReport(f *forgetter, dir string) *segmentReport {
	r := &segmentReport{forgetter: f, dir: dir, at: map[place]bool{}}
	r.steps = []step{{name: dataroot.RowsFile, do: r.rows}, {name: dataroot.RejectsFile, do: r.rejects}, {name: dataroot.ExamplesFile, do: r.examples}}
	return r
}

// search looks for the person in the files.
func (r *segmentReport) search(ctx context.Context, names []string) error {
	for i := range r.steps {
		s := &r.steps[i]
		if !slices.Contains(names, s.name) {
			continue
		}
		key, err := path.Join(r.dir, s.name), error(nil)
		if s.rows, s.others, err = s.do(ctx, key, true); err != nil {
			s.rows = 0
		} else {
			r.isSearched(key)
		}
		if err := r.goOn(ctx, key, err); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the person from the files in which they were found.
func (r *segmentReport) remove(ctx context.Context) error {
	for _, s := range slices.Backward(r.steps) {
		if s.rows == 0 {
			continue
		}
		key, err := path.Join(r.dir, s.name), error(nil)
		if !r.preview {
			s.rows, s.others, err = s.do(ctx, key, false)
		}
		if err != nil { // the record is still needed
			return r.goOn(ctx, key, err)
		}
		in := r.named(ctx)
		in.Kind, in.File, in.Rows, in.Others = kinds[s.name], key, s.rows, s.others
		r.answer.Files = append(r.answer.Files, in)
	}
	return nil
}

var kinds = map[string]string{dataroot.RowsFile: KindRecord, dataroot.RejectsFile: KindRejects, dataroot.ExamplesFile: KindExamples}

// named returns the names of the run, as far as its report or its record has them.
func (r *segmentReport) named(ctx context.Context) ForgottenIn {
	var report schemas.ExportReport
	if ok, err := r.Root.ReadJSON(ctx, path.Join(r.dir, dataroot.ReportFile), &report); ok && err == nil {
		return ForgottenIn{Connection: report.Connection, Export: report.Export, Segment: report.Segment, RunID: report.RunID}
	}
	var run schemas.RunRecord
	if ok, err := r.Root.ReadJSON(ctx, path.Join(path.Dir(r.dir), dataroot.RunRecordFile), &run); !ok || err != nil {
		return ForgottenIn{}
	}
	in := ForgottenIn{Connection: run.Connection.Name, Export: run.Input.Export.Name, RunID: run.RunID}
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
			if !r.isRow(row) {
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
		out := rejects.NewRowWriter(w, schemas.IdentityPlain) // rows with hashes keep theirs
		if err := each(out.Add); err != nil {
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
