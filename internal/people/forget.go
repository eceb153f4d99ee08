package people

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/storage"
)

// Forget removes a person from the snapshots, the records, the rejects and the examples of all
// exports, one person at a time. It leaves out what a run that has not finished may still write,
// and says so. It may be repeated: after an interruption it does the rest. With an error, the answer
// has what was done before.
func (p Place) Forget(ctx context.Context, who Person) (ForgetAnswer, error) {
	f := newForgetter(p, who)
	held, end, err := p.alone(ctx)
	if err != nil {
		return f.answer, err
	}
	defer end()
	err = f.passes(held)
	return f.answer, cmp.Or(err, context.Cause(held))
}

// Preview returns what Forget would remove.
func (p Place) Preview(ctx context.Context, who Person) (ForgetAnswer, error) {
	f := newForgetter(p, who)
	f.preview = true
	err := f.passes(ctx)
	return f.answer, err
}

// forgetter removes one person from the data root.
type forgetter struct {
	Place
	Person
	preview bool            // nothing is removed
	last    bool            // the pass only lists what is new
	busy    map[string]bool // folders of snapshots and reports that a run may still write to

	mu         sync.Mutex
	fresh      int              // files and folders of a pass that no earlier one has searched
	files      map[string]stamp // that were searched
	snapshots  map[string]int64 // versions that were searched, by folder
	searched   map[string]bool  // files, and folders of snapshots
	unreadable map[string]bool
	answer     ForgetAnswer
}

// stamp distinguishes the versions of a file.
type stamp struct {
	modTime time.Time
	size    int64
}

func newForgetter(p Place, who Person) *forgetter {
	return &forgetter{
		Place: p, Person: who, files: map[string]stamp{}, snapshots: map[string]int64{}, searched: map[string]bool{}, unreadable: map[string]bool{},
		answer: ForgetAnswer{Lists: []FoundList{}, Files: []ForgottenIn{}},
	}
}

// mostPasses bounds the passes over the data root. What is new in the last one is reported as
// unfinished.
const mostPasses = 10

// passes searches the data root until a pass finds nothing new. That pass began after all else was
// searched, and first lists the runs that have not finished. So whatever began before it has either
// finished, and its files were searched, or is reported.
func (f *forgetter) passes(ctx context.Context) (err error) {
	for n := 1; n <= mostPasses && err == nil; n++ {
		f.last, f.fresh = n == mostPasses, 0
		err = f.pass(ctx)
		if f.fresh == 0 || f.preview {
			break
		}
	}
	sortLists(f.answer.Lists)
	slices.SortFunc(f.answer.Files, func(a, b ForgottenIn) int { return strings.Compare(a.File, b.File) })
	slices.SortFunc(f.answer.Unfinished, func(a, b UnfinishedRun) int { return strings.Compare(a.Folder, b.Folder) })
	f.answer.Unreadable = slices.Sorted(maps.Keys(f.unreadable))
	f.answer.Searched = len(f.searched)
	return err
}

// pass searches what no earlier pass has searched. Snapshots come first: they have the lists that
// the person is on.
func (f *forgetter) pass(ctx context.Context) error {
	f.busy, f.answer.Unfinished = map[string]bool{}, nil
	if err := f.unfinished(ctx); err != nil {
		return err
	}
	return cmp.Or(f.allSnapshots(ctx), f.reports(ctx))
}

// goOn notes that a file could not be searched, or not be rewritten. It returns an error only if the
// rest can't be either.
func (f *forgetter) goOn(ctx context.Context, key string, err error) error {
	switch {
	case err == nil:
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.unreadable, key)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, lease.ErrLost):
		return err
	case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unreadable[key] = true
	if f.Log != nil {
		f.Log.Warn("file not searched", "file", key, "error", err)
	}
	return nil
}

// isSearched notes that a file, or a folder of snapshots, was searched.
func (f *forgetter) isSearched(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searched[key] = true
}

// isNew reports whether a listed file has changed since it was searched, and notes that it is now.
// In the last pass it reports the file's folder as unfinished instead.
func (f *forgetter) isNew(o storage.Object) bool {
	at := stamp{o.ModTime, o.Size}
	if f.files[o.Name] == at {
		return false
	}
	f.fresh++
	if f.last {
		f.skip(UnfinishedRun{Folder: path.Dir(o.Name)})
		return false
	}
	f.files[o.Name] = at
	return true
}
