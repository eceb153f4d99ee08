package segment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// maxMarker is how many bytes a file with the changes of a commit may have; 100,000 names
// of a hundred bytes need less.
const maxMarker = 32 << 20

// commit is the content of a _committed_ file: the files of its folder that a job has
// added, and those that no longer count.
type commit struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// job is a job that has written into one folder by Databricks' commit protocol. The protocol
// has no specification; this follows what its first version did (a test suite of
// Databricks' in a public fork of Spark): the names of a job's files have its ID, and they
// count once _committed_<id> lists them. A job that has neither file is an old one, whose
// notes were deleted.
type job struct {
	started   *storage.Object
	added     map[string]bool // nil until it has committed
	committed time.Time
	files     []storage.Object // with its ID in their names
}

// jobs are the jobs of one folder by their IDs, and the names that no longer count.
type jobs struct {
	byID    map[string]*job
	removed map[string]bool
}

func (j *jobs) job(id string) *job {
	if j.byID[id] == nil {
		j.byID[id] = &job{}
	}
	return j.byID[id]
}

// jobID finds the ID of the job in the name of a data file, such as
// part-00000-tid-4823-…-c000.snappy.parquet.
var jobID = regexp.MustCompile(`-tid-(\d+)-`)

// committed returns the files that count by the notes of Databricks' commit protocol: all,
// if there are no notes. Jobs that have not committed become signs that files are being
// written.
func (l *Located) committed(ctx context.Context, found storage.Found, allow func(storage.Object) (storage.Object, error)) ([]storage.Object, error) {
	folders := map[string]*jobs{}
	for i, note := range found.Notes {
		folder, base := path.Dir(note.Name), path.Base(note.Name)
		started, isStarted := strings.CutPrefix(base, "_started_")
		done, isDone := strings.CutPrefix(base, "_committed_")
		if !isStarted && (!isDone || note.Size == 0) { // an empty one was not written to its end
			continue
		}
		if folders[folder] == nil {
			folders[folder] = &jobs{byID: map[string]*job{}, removed: map[string]bool{}}
		}
		if isStarted {
			folders[folder].job(started).started = &found.Notes[i]
		} else if err := folders[folder].read(ctx, done, note, allow); err != nil {
			return nil, err
		}
	}
	if len(folders) == 0 {
		return found.Objects, nil
	}
	kept := slices.DeleteFunc(found.Objects, func(o storage.Object) bool {
		j := folders[path.Dir(o.Name)]
		return j != nil && !j.counts(o)
	})
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		l.undecided(folder, folders[folder])
	}
	return kept, nil
}

// read reads what a job has committed.
func (j *jobs) read(ctx context.Context, id string, note storage.Object, allow func(storage.Object) (storage.Object, error)) error {
	note, err := allow(note)
	if err != nil {
		return err
	}
	if note.Size > maxMarker {
		return &Error{Type: schemas.ErrorSegmentUnreadable, File: note.Name, Err: fmt.Errorf("it has %d bytes, more than %d", note.Size, maxMarker)}
	}
	src, err := openSource(ctx, note)
	if err != nil {
		return err
	}
	defer src.Close()
	data := make([]byte, src.Size())
	if err := src.ReadFull(data, 0); err != nil && err != io.EOF {
		return err
	}
	var c commit
	if err := json.Unmarshal(data, &c); err != nil {
		return &Error{Type: schemas.ErrorSegmentUnreadable, File: note.Name, Err: fmt.Errorf("it should list the files that a Databricks job has added and removed, as JSON: %w; write the segment again, or take the file out of the folder", err)}
	}
	of := j.job(id)
	of.committed, of.added = note.ModTime, map[string]bool{}
	for _, name := range c.Added {
		of.added[name] = true
	}
	for _, name := range c.Removed {
		j.removed[name] = true
	}
	return nil
}

// counts reports whether a file is a part of what was committed.
func (j *jobs) counts(o storage.Object) bool {
	name := path.Base(o.Name)
	if j.removed[name] {
		return false
	}
	m := jobID.FindStringSubmatch(name)
	if m == nil || j.byID[m[1]] == nil {
		return true
	}
	of := j.byID[m[1]]
	of.files = append(of.files, o)
	return of.added[name]
}

// undecided notes the jobs of a folder that have started and not committed. A job that has
// failed never commits; if another one has committed after its last sign of life, it is not
// waited for. Its files do not count either way.
func (l *Located) undecided(folder string, j *jobs) {
	var last time.Time // commit
	for _, of := range j.byID {
		if of.committed.After(last) {
			last = of.committed
		}
	}
	for _, id := range slices.Sorted(maps.Keys(j.byID)) {
		of := j.byID[id]
		if of.added != nil {
			continue
		}
		alive := of.started.ModTime
		for _, f := range of.files {
			if f.ModTime.After(alive) {
				alive = f.ModTime
			}
		}
		name := path.Join(folder, "_started_"+id)
		if alive.Before(last) {
			if len(of.files) > 0 {
				l.warnings = append(l.warnings, fmt.Sprintf("%d files of a Databricks job that has not committed (%s) are left out; another job has committed since", len(of.files), name))
			}
			continue
		}
		l.writing = append(l.writing, fmt.Sprintf("a Databricks job has not committed what it writes (%s)", name))
	}
}
