package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"iterable-segment-export/internal/lease"
)

// dirMode and fileMode keep other users of the host from reading the files of runs,
// which contain personal data.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Root is the data root. Its keys are relative paths with slashes, as package schemas
// makes them; a key doesn't begin or end with a slash or have an element "..". It is
// safe for concurrent use.
type Root struct {
	bucket *blob.Bucket
	url    string
	dir    string // the local folder, empty for a bucket

	keys      *Keys
	encrypted []string // folders whose files are encrypted

	replacing chan struct{} // has an entry while Update replaces a file that has no version, or Delete deletes one

	// Around, if set, makes every change of the root: it calls check, which fails if the
	// lease of the context has ended, and then do. Tests use it to stop, repeat or fail a
	// change before, between and after the two.
	Around func(ctx context.Context, key string, check, do func() error) error
}

// change calls do if the context's lease still holds.
func (r *Root) change(ctx context.Context, key string, do func() error) error {
	check := func() error { return lease.Check(ctx) }
	if r.Around != nil {
		return r.Around(ctx, key, check, do)
	}
	if err := check(); err != nil {
		return err
	}
	return do()
}

// OpenRoot opens the data root at a plain path, a file:// URL or the URL of a bucket.
// It makes a missing local folder, with access for its owner only. The path in a
// bucket's URL is a prefix of all keys.
func OpenRoot(ctx context.Context, where string) (*Root, error) {
	return openRoot(ctx, where, true)
}

// FindRoot is OpenRoot for readers: a missing local folder is an fs.ErrNotExist.
func FindRoot(ctx context.Context, where string) (*Root, error) {
	return openRoot(ctx, where, false)
}

func openRoot(ctx context.Context, where string, create bool) (*Root, error) {
	if isBucket(where) {
		return openBucketRoot(ctx, where)
	}
	loc, err := parseLocation(where)
	if err != nil {
		return nil, fmt.Errorf("data root %q: %w", where, err)
	}
	if _, err := os.Stat(loc.literal); !create && err != nil {
		return nil, fmt.Errorf("data root: %w", err)
	}
	bucket, err := fileblob.OpenBucket(loc.literal, &fileblob.Options{
		CreateDir:   create,
		DirFileMode: dirMode,
		NoTempDir:   true, // a rename can't cross file systems
		Metadata:    fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("open the data root %s: %w", loc.literal, err)
	}
	return &Root{bucket: bucket, url: fileURL(loc.literal), dir: loc.literal, replacing: make(chan struct{}, 1)}, nil
}

func openBucketRoot(ctx context.Context, where string) (*Root, error) {
	u, err := parseBucketURL(where)
	if err != nil {
		return nil, fmt.Errorf("data root %q: %w", where, err)
	}
	bucket, err := u.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("data root: %w", err)
	}
	if u.key != "" {
		bucket = blob.PrefixedBucket(bucket, u.key+"/")
	}
	return &Root{bucket: bucket, url: where, replacing: make(chan struct{}, 1)}, nil
}

// URL returns the root's URL, a file:// URL with an absolute path for a local one.
func (r *Root) URL() string { return r.url }

// Reach returns an error if the root can't be listed. It is called at start, to find
// a wrong name or missing rights early.
func (r *Root) Reach(ctx context.Context) error {
	if _, _, err := r.bucket.ListPage(ctx, blob.FirstPageToken, 1, nil); err != nil {
		return fmt.Errorf("list %s: %w", r.url, reason(err))
	}
	return nil
}

// Close releases the root. Open local files stay usable.
func (r *Root) Close() error { return r.bucket.Close() }

// Write publishes data under the key, and replaces a file that is there.
func (r *Root) Write(ctx context.Context, key string, data []byte) error {
	w, err := r.Create(ctx, key)
	if err != nil {
		return err
	}
	return w.writeAll(data)
}

// WriteNew publishes data under a key that has no file yet. If it has one, the error is
// ErrExists.
func (r *Root) WriteNew(ctx context.Context, key string, data []byte) error {
	w, err := r.CreateNew(ctx, key)
	if err != nil {
		return err
	}
	return w.writeAll(data)
}

// Read returns the content of a key's file. The error for a missing one is
// fs.ErrNotExist.
func (r *Root) Read(ctx context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	data, err := r.bucket.ReadAll(ctx, key)
	if err != nil {
		return nil, keyError("read", key, err)
	}
	return r.decrypted(key, data)
}

// ReadJSON decodes the content of a key's file into out, and reports whether the file
// exists.
func (r *Root) ReadJSON(ctx context.Context, key string, out any) (bool, error) {
	data, err := r.Read(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return true, nil
}

// WriteJSON writes v as the content of a key.
func (r *Root) WriteJSON(ctx context.Context, key string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return r.Write(ctx, key, data)
}

// Has reports whether a key has a file.
func (r *Root) Has(ctx context.Context, key string) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	has, err := r.bucket.Exists(ctx, key)
	if err != nil {
		return false, keyError("look for", key, err)
	}
	return has, nil
}

// Open opens the file of a key. The error for a missing one is fs.ErrNotExist.
// The context applies to later reads of a bucket's file too.
func (r *Root) Open(ctx context.Context, key string) (File, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if r.dir != "" {
		f, err := openLocal(r.path(key))
		if err != nil {
			return nil, keyError("open", key, err)
		}
		return r.open(key, f)
	}
	a, err := r.bucket.Attributes(ctx, key)
	if err != nil {
		return nil, keyError("open", key, err)
	}
	return r.open(key, newRemoteFile(ctx, object{
		bucket: r.bucket, key: key, name: key, size: a.Size, modTime: a.ModTime, version: currentVersion(a),
	}, rootBlock))
}

// unfinished matches the name of a local file that is not published yet, or never will
// be because its process was killed.
var unfinished = regexp.MustCompile(`\.[0-9a-f]{8,16}\.tmp$`)

// List returns the files below the folder prefix, sorted by name; an empty prefix is
// the whole root. A missing folder has no files. The names are whole keys. The size of
// an encrypted file is its size as stored, slightly more than that of its content.
func (r *Root) List(ctx context.Context, prefix string) ([]Object, error) {
	var out []Object
	err := r.Walk(ctx, prefix, func(o Object) error { out = append(out, o); return nil })
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, err
}

// Walk calls f with each file below the folder prefix, folder by folder, and stops
// when f returns an error. f may delete files.
func (r *Root) Walk(ctx context.Context, prefix string, f func(Object) error) error {
	return r.walk(ctx, prefix, func(o Object) error {
		if r.dir != "" && unfinished.MatchString(o.Name) {
			return nil
		}
		return f(o)
	})
}

func (r *Root) walk(ctx context.Context, prefix string, f func(Object) error) error {
	opts := &blob.ListOptions{}
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			return err
		}
		opts.Prefix = prefix + "/"
	}
	// A local root can't be listed if a file is deleted meanwhile.
	const tries = 10
	vanished := 0
	for page := blob.FirstPageToken; len(page) > 0; {
		objects, next, err := r.bucket.ListPage(ctx, page, 1000, opts)
		if gcerrors.Code(err) == gcerrors.NotFound && vanished < tries {
			vanished++
			continue
		}
		if err != nil {
			return keyError("list", prefix, err)
		}
		for _, o := range objects {
			if r.dir != "" && o.Key == lockName {
				continue
			}
			if err := f(Object{Name: o.Key, URL: r.objectURL(o.Key), Size: o.Size, ModTime: o.ModTime}); err != nil {
				return err
			}
		}
		page = next
	}
	return nil
}

// DeleteUnfinished deletes unfinished files of a local root that were last written to
// earlier than before, and returns their number. Unfinished uploads to a bucket can't
// be listed; a lifecycle rule deletes them.
func (r *Root) DeleteUnfinished(ctx context.Context, before time.Time) (n int, err error) {
	if r.dir == "" {
		return 0, nil
	}
	err = r.walk(ctx, "", func(o Object) error {
		if !unfinished.MatchString(o.Name) || !o.ModTime.Before(before) {
			return nil
		}
		n++
		return r.DeletePrefix(ctx, o.Name)
	})
	return n, err
}

// DeletePrefix deletes the file of that key, every file below the folder of that name,
// and local folders that are empty then. It returns nil if there is nothing to delete.
func (r *Root) DeletePrefix(ctx context.Context, prefix string) error {
	if err := checkKey(prefix); err != nil {
		return err
	}
	return r.change(ctx, prefix, func() error { return r.deletePrefix(ctx, prefix) })
}

// Delete deletes the file of a key. Unlike DeletePrefix, it can be used beside Update: an update whose
// condition is still true replaces the file before it is deleted, and otherwise fails.
func (r *Root) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return r.change(ctx, key, func() error {
		if r.alone() {
			unlock, err := r.lock(ctx)
			switch {
			case err == nil:
				defer unlock()
			case !errors.Is(err, errNoLocks): // without locks, Update replaces nothing
				return keyError("delete", key, err)
			}
		}
		return r.deletePrefix(ctx, key)
	})
}

func (r *Root) deletePrefix(ctx context.Context, prefix string) error {
	if r.dir != "" {
		if err := removeAll(ctx, r.path(prefix)); err != nil {
			return keyError("delete", prefix, err)
		}
		// A folder into which another run has just put a file is not empty, and stays.
		for parent := filepath.Dir(r.path(prefix)); parent != r.dir; parent = filepath.Dir(parent) {
			if err := os.Remove(parent); err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		return nil
	}
	objects, err := r.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, o := range append(objects, Object{Name: prefix}) {
		if err := lease.Check(ctx); err != nil {
			return err
		}
		if err := r.bucket.Delete(ctx, o.Name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return keyError("delete", o.Name, err)
		}
	}
	return nil
}

// removeAll removes a file or a folder as long as the context's lease holds. Files that
// appear meanwhile stay.
func removeAll(ctx context.Context, name string) error {
	var folders []string
	err := filepath.WalkDir(name, func(at string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir():
			folders = append(folders, at)
			return nil
		}
		if err := lease.Check(ctx); err != nil {
			return err
		}
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		_ = os.Remove(folder) // unless it is not empty
	}
	return err
}

func (r *Root) path(key string) string { return filepath.Join(r.dir, filepath.FromSlash(key)) }

func (r *Root) objectURL(key string) string {
	if r.dir != "" {
		return fileURL(r.path(key))
	}
	base, _, _ := strings.Cut(r.url, "?")
	return strings.TrimSuffix(base, "/") + "/" + key
}

// checkKey rejects keys that leave the root, and those that a local root would have to
// escape.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." || !utf8.ValidString(key) || strings.ContainsAny(key, "\\\x00") ||
		strings.Contains(key, "__0x") || strings.ContainsFunc(key, func(c rune) bool { return c < 32 }) {
		return fmt.Errorf("%q is not a key of the data root", key)
	}
	return nil
}

// keyError returns the error of an operation on a key. It turns every driver's error
// for a missing object into fs.ErrNotExist.
func keyError(doing, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound && !forbidden(err) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s in the data root: %w", doing, key, fs.ErrNotExist)
	}
	return fmt.Errorf("%s %s in the data root: %w", doing, key, reason(err))
}

// forbidden reports whether Google has refused something. Its driver takes that for a missing object.
func forbidden(err error) bool {
	var google *googleapi.Error
	return errors.As(err, &google) && google.Code == http.StatusForbidden
}
