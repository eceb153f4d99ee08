package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"gocloud.dev/blob"
)

// Found is what a source leads to.
type Found struct {
	// Objects are its files, in the order of their names.
	Objects []Object
	// Notes are what the programs that write files keep beside them, as far as it shows
	// whether they have finished (isNote). A folder is represented by one thing that is in
	// it; empty folders are left out.
	Notes []Object
	// Closed are the folders above the targets of links that may not be read.
	Closed []string
}

// isNote reports whether a hidden name is a note of a writer. _temporary is the folder in
// which Hadoop's FileOutputCommitter, and Spark with it, keeps the output of a job until
// the job commits; __magic and __magic_job-… that of the S3A magic committer;
// .spark-staging-… that of Spark's dynamic partition overwrite. _started_… and
// _committed_… are the files of Databricks' commit protocol.
func isNote(name string) bool {
	if name == "_temporary" || name == "__magic" {
		return true
	}
	return slices.ContainsFunc([]string{"__magic_job-", ".spark-staging-", "_started_", "_committed_"}, func(begins string) bool {
		return strings.HasPrefix(name, begins)
	})
}

// noteOf returns the part of a name that ends with its first hidden element, if that is a
// note.
func noteOf(name string) (note string, ok bool) {
	for end := 0; end < len(name); end++ {
		begin := end
		if i := strings.IndexByte(name[begin:], '/'); i >= 0 {
			end += i
		} else {
			end = len(name)
		}
		if element := name[begin:end]; isHidden(element) {
			return name[:end], isNote(element)
		}
	}
	return "", false
}

// note collects the note at path.
func (w *walk) note(path, name string, e fs.DirEntry) error {
	if !isNote(e.Name()) {
		return nil
	}
	if e.Type().IsRegular() {
		o, err := localObject(path, name)
		if err == nil {
			w.notes = append(w.notes, o)
		}
		return err
	}
	if !e.IsDir() {
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if first, err := dir.Readdirnames(1); err == nil && len(first) > 0 {
		w.notes = append(w.notes, Object{Name: name + "/" + first[0], ModTime: info.ModTime()})
	}
	return nil
}

// vanished reports whether there is nothing at path, not even a symbolic link that leads
// nowhere. A writer may rename or delete a file while its folder is being listed.
func vanished(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// note collects the note that a listed name belongs to, and reports whether it is hidden.
func (o *objects) note(name string, l *blob.ListObject, w walk) bool {
	note, ok := noteOf(name)
	if note == "" {
		return false
	}
	folder := path.Dir(note)
	if !ok || folder != "." && !w.mayHold(folder) {
		return true
	}
	inside := strings.Trim(name[len(note):], "/") != ""
	file := strings.HasPrefix(path.Base(note), "_started_") || strings.HasPrefix(path.Base(note), "_committed_")
	if inside != file && !o.noted[note] { // a mark for a folder stands for no file in it
		if o.noted == nil {
			o.noted = map[string]bool{}
		}
		o.noted[note] = true
		o.notes = append(o.notes, o.object(name, l))
	}
	return true
}

// unlistedNotes collects the notes in a folder of which only what begins with literal was
// listed.
func (o *objects) unlistedNotes(folder, literal string) error {
	if literal == "" {
		return nil
	}
	prefix := folder
	if prefix != "" {
		prefix += "/"
	}
	for _, begins := range []string{"_temporary/", "__magic", ".spark-staging-", "_started_", "_committed_"} {
		for page := blob.FirstPageToken; len(page) > 0; {
			listed, next, err := o.bucket.ListPage(o.ctx, page, 1000, &blob.ListOptions{Prefix: prefix + begins, BeforeList: listMetadata})
			if err != nil {
				return reason(err)
			}
			for _, l := range listed {
				o.note(strings.TrimPrefix(l.Key, prefix), l, walk{})
			}
			if page = next; !strings.HasSuffix(begins, "ed_") {
				break // one entry of a folder is enough
			}
		}
	}
	return nil
}

// Beside finds the files that match a pattern in the folder of a source: the folder itself,
// the fixed part of a pattern, or the one that holds the file. Only the last element of the
// pattern may have wildcards. Names that begin with _ or a dot are found like others.
func Beside(ctx context.Context, source, pattern string) ([]Object, error) {
	if err := checkPattern(path.Base(pattern)); err != nil {
		return nil, err
	}
	if isBucket(source) {
		return besideInBucket(ctx, source, pattern)
	}
	base, err := folderOf(source)
	if err != nil {
		return nil, err
	}
	dir, last := path.Split(pattern)
	folder := filepath.Join(base, filepath.FromSlash(dir))
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("source %q: %w", named(source), err)
	}
	var found []Object
	for _, e := range entries {
		if !doublestar.MatchUnvalidated(last, e.Name()) {
			continue
		}
		if o, err := localObject(filepath.Join(folder, e.Name()), dir+e.Name()); err == nil { // a regular file
			found = append(found, o)
		}
	}
	return found, nil
}

// MissingFolder returns the folder in which Beside looks if it does not exist, and an empty
// string if it does, or in a bucket, which has no folders.
func MissingFolder(source string) string {
	if isBucket(source) {
		return ""
	}
	folder, err := folderOf(source)
	if err != nil {
		return ""
	}
	if _, err = os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return folder
}

// folderOf returns the folder of a local source.
func folderOf(source string) (string, error) {
	loc, err := parseLocation(source)
	if err != nil {
		return "", fmt.Errorf("source %q: %w", named(source), err)
	}
	loc.settle()
	if info, err := os.Stat(loc.base); err == nil && !info.IsDir() || err != nil && loc.pattern == "" && path.Ext(loc.base) != "" {
		return filepath.Dir(loc.base), nil // of the file, which need not exist yet
	}
	return loc.base, nil
}

// isFile reports whether a key is that of a file, which need not exist yet if its name has
// an extension. The name of a folder may have one, too.
func (o *objects) isFile(key string) (bool, error) {
	err := o.file(key)
	exists := len(o.found) > 0
	if o.found = nil; exists || err != nil || path.Ext(key) == "" {
		return exists, err
	}
	below, _, err := o.bucket.ListPage(o.ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: key + "/"})
	if err != nil {
		return false, reason(err)
	}
	return len(below) == 0, nil
}

func besideInBucket(ctx context.Context, source, pattern string) ([]Object, error) {
	o, err := openBucket(ctx, source)
	if err != nil {
		return nil, err
	}
	base, rest, err := o.where.fixed(ctx, o.bucket)
	file := false
	if err == nil && rest == "" && base != "" {
		file, err = o.isFile(base)
	}
	if file {
		base = strings.TrimPrefix(path.Dir(base), ".")
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", o.where, err)
	}
	dir, last := path.Split(pattern)
	if base != "" {
		base += "/"
	}
	literal := last
	if i := strings.IndexAny(last, wildcards+`\`); i >= 0 {
		literal = last[:i]
	}
	opts := &blob.ListOptions{Prefix: base + dir + literal, Delimiter: "/", BeforeList: listMetadata}
	for page := blob.FirstPageToken; len(page) > 0; {
		listed, next, err := o.bucket.ListPage(ctx, page, 1000, opts)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", o.where, reason(err))
		}
		for _, l := range listed {
			if name := strings.TrimPrefix(l.Key, base); !isFolder(l) && doublestar.MatchUnvalidated(last, path.Base(name)) {
				o.found = append(o.found, o.object(name, l))
			}
		}
		page = next
	}
	return o.found, nil
}
