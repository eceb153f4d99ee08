package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Bounds on the work that a source can cause.
const (
	maxObjects = 100_000 // files of one source
	maxTable   = 200_000 // files of a table's log, or its data files and deletion vectors
	maxDepth   = 64      // folders within folders

	maxPattern      = 1000 // bytes of a pattern
	maxAlternatives = 1000 // patterns that braces expand to; a name is matched with each
)

// checkPattern rejects a pattern that is invalid or too slow to match.
func checkPattern(pattern string) error {
	// Braces expand to the most patterns if the commas are spread evenly over them.
	groups, commas := float64(strings.Count(pattern, "{")), float64(strings.Count(pattern, ","))
	switch {
	case len(pattern) > maxPattern:
		return fmt.Errorf("the pattern has %d bytes, more than %d; name a folder instead", len(pattern), maxPattern)
	case groups > 0 && math.Pow(1+commas/groups, groups) > maxAlternatives:
		return fmt.Errorf("the braces of %q expand to too many patterns (at most %d); use * instead", pattern, maxAlternatives)
	case !doublestar.ValidatePattern(pattern):
		return fmt.Errorf("%q is not a valid pattern", pattern)
	}
	return nil
}

// Object is one file of a source or of the data root.
type Object struct {
	// Name is relative to the source's folder, with slashes; for a file of the data
	// root it is the key.
	Name string
	// Partition is the part of the source's own path that names partitions, such as
	// year=2026/country=NO; Name does not contain it.
	Partition string
	// URL is the file's location with symbolic links followed.
	URL string
	// Size is in bytes.
	Size    int64
	ModTime time.Time
	// Changed is when a local file was written, copied or renamed last, whatever ModTime
	// says: programs that copy files keep that. For a bucket's object it is ModTime.
	Changed time.Time
	// ETag is the version of a bucket's object; empty for a local file.
	ETag string

	// root is the allowed folder that a local file is in, and path its path there;
	// both are empty before WithinObject.
	root, path string
	// exact is set for a blob of Azure that is requested by its unescaped name.
	exact bool
}

// Survey returns the files of a source, sorted by name: the file itself, all files below
// a folder, or the files that match a pattern (* ? [a-z] {a,b}, and ** for folders of
// any depth; a folder that matches stands for its files). Names below the source's
// fixed part that begin with _ or . are left out, except those of partitions, such as
// _year=2026.
//
// A table below the source is an *InTable error, since a table's folder also has files
// with deleted rows.
//
// The error of a source without files is fs.ErrNotExist. A source that can't be listed
// completely is an error.
//
// A folder of a bucket is a common prefix of keys.
// It returns the notes of writers too, also where there is no file.
func Survey(ctx context.Context, source string) (Found, error) {
	if isBucket(source) {
		return surveyBucket(ctx, source)
	}
	loc, err := parseLocation(source)
	if err != nil {
		return Found{}, fmt.Errorf("source %q: %w", named(source), err)
	}
	info, err := os.Stat(loc.literal)
	switch {
	case err == nil && info.IsDir():
		loc.base, loc.pattern = loc.literal, ""
	case err == nil:
		o, err := localObject(loc.literal, filepath.Base(loc.literal))
		return Found{Objects: inPartition([]Object{o}, filepath.Dir(loc.literal))}, err
	case !errors.Is(err, fs.ErrNotExist):
		return Found{}, fmt.Errorf("source %q: %w", named(source), err)
	case loc.pattern == "":
		return Found{}, fmt.Errorf("source %q: there is no file or folder %s: %w", named(source), loc.literal, fs.ErrNotExist)
	}
	if err := checkPattern(loc.pattern); err != nil {
		return Found{}, fmt.Errorf("source %q: %w", named(source), err)
	}
	w := walk{ctx: ctx, pattern: loc.pattern, clean: map[string]bool{}}
	if err := w.folder(loc.base, "", nil); err != nil {
		return Found{}, fmt.Errorf("source %q: %w", named(source), err)
	}
	if len(w.found) == 0 {
		what := "has no files"
		if loc.pattern != "" {
			what = fmt.Sprintf("has no files that match %q", loc.pattern)
		}
		return Found{Notes: w.notes}, fmt.Errorf("source %q: the folder %s %s (names that begin with _ or . are left out): %w", named(source), loc.base, what, fs.ErrNotExist)
	}
	sort.Slice(w.found, func(i, j int) bool { return w.found[i].Name < w.found[j].Name })
	return Found{inPartition(w.found, loc.base), w.notes, w.closed}, nil
}

// inPartition sets the objects' Partition, given the folder that their names are
// relative to.
func inPartition(objects []Object, folder string) []Object {
	elements := strings.Split(filepath.ToSlash(folder), "/")
	first := len(elements)
	for first > 0 && strings.Contains(elements[first-1], "=") {
		first--
	}
	for i := range objects {
		objects[i].Partition = strings.Join(elements[first:], "/")
	}
	return objects
}

// ListTable returns the files of a table's folder that keep reports true for, and whose
// names begin with below: a folder and a slash, or nothing. FindTable must have reported
// that the source is the table. Names are relative to the table's folder. Files that a
// writer deletes meanwhile are not listed.
func ListTable(ctx context.Context, source, below string, keep func(name string) bool) ([]Object, error) {
	if isBucket(source) {
		return listTableInBucket(ctx, source, below, keep)
	}
	loc, err := parseLocation(source)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", named(source), err)
	}
	loc.settle()
	w := walk{ctx: ctx, keep: keep}
	if err := w.folder(filepath.Join(loc.base, below), strings.TrimSuffix(below, "/"), nil); err != nil {
		return nil, fmt.Errorf("source %q: %w", named(source), err)
	}
	return w.found, nil
}

// walk collects the files of a folder that match a pattern, or all of them.
//
// gocloud's fileblob can't replace it. It lists with filepath.WalkDir, which does not follow
// symbolic links to folders, and does not return the real path of a file, by which
// WithinObject checks that a link stays below an allowed source.
type walk struct {
	ctx     context.Context
	pattern string
	keep    func(name string) bool // selects files of a table, hidden ones too; nil elsewhere
	clean   map[string]bool        // targets of links that are not in a table
	found   []Object
	notes   []Object
	closed  []string // folders above targets of links that may not be read
}

// folder visits dir, whose name below the source is rel. It follows symbolic links to
// folders; above holds the real paths of the parent folders, to detect loops.
func (w *walk) folder(dir, rel string, above []string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, a := range above {
		if a == real {
			return fmt.Errorf("the symbolic link %s leads to a folder that contains it", dir)
		}
	}
	if len(above) >= maxDepth {
		return fmt.Errorf("%s is more than %d folders deep", dir, maxDepth)
	}
	if w.keep == nil {
		if err := w.notTable(dir, rel, real, above); err != nil {
			return err
		}
	}
	above = append(above[:len(above):len(above)], real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		name, path := e.Name(), filepath.Join(dir, e.Name())
		if rel != "" {
			name = rel + "/" + name
		}
		err := w.entry(e, path, name, above)
		if err != nil && (w.keep == nil && !vanished(path) || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// entry visits the entry of a folder at path, whose name below the source is name.
func (w *walk) entry(e fs.DirEntry, path, name string, above []string) error {
	if w.keep == nil && isHidden(e.Name()) {
		return w.note(path, name, e)
	}
	if e.Type().IsRegular() && !w.matches(name) {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir() && w.mayHold(name):
		return w.folder(path, name, above)
	case info.IsDir() || !w.matches(name):
		return nil
	}
	if w.keep == nil && e.Type()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(path)
		if err == nil {
			err = w.notInTable(filepath.Dir(target), name)
		}
		if err != nil {
			return err
		}
	}
	return w.file(path, name)
}

// notTable returns an *InTable if dir is a table's folder, or a link into one.
func (w *walk) notTable(dir, rel, real string, above []string) error {
	format, err := tableInFolder(dir)
	switch {
	case err != nil:
		return err
	case format != "":
		return &InTable{Format: format, Folder: rel}
	case len(above) > 0 && real != filepath.Join(above[len(above)-1], filepath.Base(dir)):
		return w.notInTable(real, rel)
	}
	return nil
}

// notInTable returns an *InTable if folder, the target of a link, is in a table.
func (w *walk) notInTable(folder, link string) error {
	if w.clean[folder] {
		return nil
	}
	table, closed, err := tableAround(folder, tableInFolder)
	if err != nil {
		return err
	}
	if table != nil {
		table.Folder = link
		return table
	}
	w.clean[folder] = true
	w.closed = append(w.closed, closed...)
	return nil
}

func (w *walk) file(path, name string) error {
	if err := w.room(len(w.found)); err != nil {
		return err
	}
	o, err := localObject(path, name)
	if err != nil {
		return err
	}
	w.found = append(w.found, o)
	return nil
}

// room returns an error if no further file may be found.
func (w *walk) room(found int) error {
	switch {
	case w.keep == nil && found >= maxObjects:
		return fmt.Errorf("there are more than %d files; make the source narrower", maxObjects)
	case found >= maxTable:
		return fmt.Errorf("the table's log has more than %d files; shorten its retention (delta.logRetentionDuration), or write the table again", maxTable)
	}
	return nil
}

// matches reports whether keep selects the file, or the pattern matches it or a folder
// that it is in.
func (w *walk) matches(name string) bool {
	if w.keep != nil {
		return w.keep(name)
	}
	if w.pattern == "" || doublestar.MatchUnvalidated(w.pattern, name) {
		return true
	}
	for i, c := range name {
		if c == '/' && doublestar.MatchUnvalidated(w.pattern, name[:i]) {
			return true
		}
	}
	return false
}

// mayHold reports whether a folder can contain matching files. It saves walking through
// all folders for a pattern that matches few.
func (w *walk) mayHold(folder string) bool {
	if w.pattern == "" || strings.ContainsAny(w.pattern, `{\`) {
		return true
	}
	want := strings.Split(w.pattern, "/")
	for i, have := range strings.Split(folder, "/") {
		if i >= len(want) || want[i] == "**" {
			return true
		}
		if !doublestar.MatchUnvalidated(want[i], have) {
			return false
		}
	}
	return true
}

func localObject(path, name string) (Object, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Object{}, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return Object{}, err
	}
	if !info.Mode().IsRegular() {
		return Object{}, notRegular(path, info)
	}
	return Object{Name: filepath.ToSlash(name), URL: fileURL(real), Size: info.Size(), ModTime: info.ModTime(), Changed: changed(info)}, nil
}

// OpenSource opens a file that List found. If the file has changed since, the error is
// ErrChanged.
//
// The context applies to all reads of a bucket's object. A read fails with ErrChanged
// if the object was replaced, and with ErrUnavailable after several failed tries.
func OpenSource(ctx context.Context, o Object) (File, error) {
	if isBucket(o.URL) {
		return openObject(ctx, o)
	}
	if err := CheckUnchanged(ctx, o); err != nil {
		return nil, err
	}
	loc, err := parseLocation(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Name, err)
	}
	open := func() (*localFile, error) { return openLocal(loc.literal) }
	if o.root != "" {
		open = func() (*localFile, error) { return openBelow(o.root, o.path) }
	}
	f, err := open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Name, err)
	}
	if f.size != o.Size || !f.modTime.Equal(o.ModTime) {
		_ = f.Close()
		return nil, errChanged(o.Name, "it was replaced by another file")
	}
	return f, nil
}

// CheckUnchanged returns an ErrChanged if a file that List found has changed, by its
// size and modification time, or by its version in a bucket.
func CheckUnchanged(ctx context.Context, o Object) error {
	if isBucket(o.URL) {
		return checkObject(ctx, o)
	}
	info, err := statSource(o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errChanged(o.Name, "it is no longer there")
	case err != nil:
		return fmt.Errorf("%s: %w", o.Name, err)
	case info.Size() != o.Size:
		return errChanged(o.Name, fmt.Sprintf("it had %d bytes and has %d now", o.Size, info.Size()))
	case !info.ModTime().Equal(o.ModTime):
		return errChanged(o.Name, "it was written to at "+info.ModTime().UTC().Format(time.RFC3339))
	}
	return nil
}

// statSource describes a local file below its allowed place: what a link leads to elsewhere
// is nobody's business, not even its size.
func statSource(o Object) (fs.FileInfo, error) {
	if o.root == "" {
		loc, err := parseLocation(o.URL)
		if err != nil {
			return nil, err
		}
		return os.Stat(loc.literal)
	}
	r, err := os.OpenRoot(o.root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Stat(o.path)
}
