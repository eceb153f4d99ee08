package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"
)

// openBucket opens the bucket of a source.
func openBucket(ctx context.Context, source string) (o objects, err error) {
	o.ctx = ctx
	if o.where, err = parseBucketURL(source); err != nil {
		return o, fmt.Errorf("source %q: %w", named(source), err)
	}
	if o.bucket, err = o.where.open(ctx); err != nil {
		return o, fmt.Errorf("source %s: %w", o.where, err)
	}
	return o, nil
}

// surveyBucket is Survey for a path in a bucket.
func surveyBucket(ctx context.Context, source string) (Found, error) {
	o, err := openBucket(ctx, source)
	if err != nil {
		return Found{}, err
	}
	if err := o.find(); err != nil {
		return Found{Notes: o.notes}, fmt.Errorf("source %s: %w", o.where, err)
	}
	sort.Slice(o.found, func(i, j int) bool { return o.found[i].Name < o.found[j].Name })
	return Found{Objects: o.found, Notes: o.notes}, nil
}

// listTableInBucket is ListTable for a path in a bucket.
func listTableInBucket(ctx context.Context, source, below string, keep func(name string) bool) ([]Object, error) {
	o, err := openBucket(ctx, source)
	if err != nil {
		return nil, err
	}
	base, _, err := o.where.fixed(ctx, o.bucket)
	if err == nil {
		err = o.list(base, below, walk{keep: keep})
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", o.where, err)
	}
	return o.found, nil
}

// objects collects the files of a source in a bucket.
type objects struct {
	ctx    context.Context
	bucket *blob.Bucket
	where  bucketURL
	found  []Object
	notes  []Object
	noted  map[string]bool // the notes, without what is in them
}

func (o *objects) find() error {
	if o.where.key != "" {
		if err := o.file(o.where.key); err != nil || len(o.found) > 0 {
			return err
		}
		if err := o.folder(o.where.key, ""); err != nil || len(o.found) > 0 {
			return err
		}
	}
	base, pattern := splitPattern(o.where.pattern)
	if pattern == "" && o.where.key != "" {
		return fmt.Errorf("there is no file or folder %s: %w", o.where, fs.ErrNotExist)
	}
	if err := checkPattern(pattern); err != nil {
		return err
	}
	if err := o.folder(base, pattern); err != nil {
		return err
	}
	if len(o.found) > 0 {
		return nil
	}
	what := "has no files"
	if pattern != "" {
		what = fmt.Sprintf("has no files that match %q", pattern)
	}
	return fmt.Errorf("the folder %q %s (names that begin with _ or . are left out): %w", base, what, fs.ErrNotExist)
}

// file collects the object of that key. It is the first in the listing of keys that
// begin with it.
func (o *objects) file(key string) error {
	listed, _, err := o.bucket.ListPage(o.ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: key, BeforeList: listMetadata})
	if err != nil {
		return reason(err)
	}
	if len(listed) == 0 || listed[0].Key != key || isFolder(listed[0]) {
		return nil
	}
	folder, name := path.Split(key)
	o.add(name, listed[0])
	inPartition(o.found, strings.TrimSuffix(folder, "/"))
	return nil
}

// folder collects the files below a folder that match a pattern, or all of them.
func (o *objects) folder(folder, pattern string) error {
	// Listing only names that begin with the pattern's literal part is faster.
	literal, _, _ := strings.Cut(pattern, "/")
	if i := strings.IndexAny(literal, wildcards+`\`); i >= 0 {
		literal = literal[:i]
	}
	err := o.list(folder, literal, walk{pattern: pattern})
	inPartition(o.found, folder)
	if err == nil {
		err = o.unlistedNotes(folder, literal)
	}
	return err
}

// list collects the files below a folder that w matches, and whose names there begin
// with literal.
func (o *objects) list(folder, literal string, w walk) error {
	prefix := folder
	if prefix != "" {
		prefix += "/"
	}
	opts := &blob.ListOptions{Prefix: prefix + literal, BeforeList: listMetadata}
	folders := map[string]bool{}
	for page := blob.FirstPageToken; len(page) > 0; {
		listed, next, err := o.bucket.ListPage(o.ctx, page, 1000, opts)
		if err != nil {
			return reason(err)
		}
		for _, l := range listed {
			name := strings.TrimPrefix(l.Key, prefix)
			if format, folder := tableOf(name); format != "" && w.keep == nil && (folder == "." || !hidden(folder) && w.mayHold(folder)) {
				return &InTable{Format: format, Folder: strings.TrimPrefix(folder, ".")}
			}
			if w.keep == nil && o.note(name, l, w) || isFolder(l) || !w.matches(name) {
				continue
			}
			if err := w.room(len(o.found)); err != nil {
				return err
			}
			o.add(name, l)
			for i, c := range name {
				if c == '/' {
					folders[name[:i]] = true
				}
			}
		}
		page = next
	}
	// An empty object with files below it marks a folder.
	kept := o.found[:0]
	for _, f := range o.found {
		if f.Size > 0 || !folders[f.Name] {
			kept = append(kept, f)
		}
	}
	o.found = kept
	return nil
}

func (o *objects) add(name string, l *blob.ListObject) { o.found = append(o.found, o.object(name, l)) }

func (o *objects) object(name string, l *blob.ListObject) Object {
	return Object{Name: name, URL: o.where.object(l.Key), Size: l.Size, ModTime: l.ModTime, Changed: l.ModTime, ETag: listedVersion(l), exact: isExact(l)}
}

// listMetadata requests Azure's metadata, which tell folders from files.
func listMetadata(as func(any) bool) error {
	var az *container.ListBlobsHierarchyOptions
	if as(&az) {
		az.Include.Metadata = true
	}
	return nil
}

// isFolder reports whether a listed object marks a folder: Data Lake's have
// metadata, others are empty and end with a slash, or with Hadoop's suffix.
func isFolder(o *blob.ListObject) bool {
	var az container.BlobItem
	if o.As(&az) {
		for name, value := range az.Metadata {
			if strings.EqualFold(name, "hdi_isfolder") && value != nil && strings.EqualFold(*value, "true") {
				return true
			}
		}
	}
	return o.IsDir || o.Size == 0 && (strings.HasSuffix(o.Key, "/") || strings.HasSuffix(o.Key, "_$folder$"))
}

// hidden reports whether an element of the name is hidden.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), isHidden)
}

// isHidden reports whether a name begins with _ or a dot, as files that are not data
// do, and does not name a partition.
func isHidden(name string) bool {
	return (strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")) && !strings.Contains(name, "=")
}

// fixed is splitPattern, except that it takes the wildcards literally if an object
// with that key exists.
func (b bucketURL) fixed(ctx context.Context, bucket *blob.Bucket) (base, rest string, err error) {
	if base, rest = splitPattern(b.pattern); rest == "" {
		return base, rest, nil
	}
	listed, _, err := bucket.ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: b.key})
	if err != nil {
		return "", "", reason(err)
	}
	if len(listed) > 0 {
		return b.key, "", nil
	}
	return base, rest, nil
}

// openObject opens an object that listBucket found, in the listed version.
func openObject(ctx context.Context, o Object) (File, error) {
	where, err := parseBucketURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Name, err)
	}
	bucket, err := where.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Name, err)
	}
	return newRemoteFile(ctx, object{
		bucket: bucket, key: where.key, name: o.Name, size: o.Size, modTime: o.ModTime, version: o.ETag, exact: o.exact,
	}, sourceBlock), nil
}

// checkObject is CheckUnchanged for an object.
func checkObject(ctx context.Context, o Object) error {
	where, err := parseBucketURL(o.URL)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	bucket, err := where.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	a, err := attributes(ctx, bucket, where.key, o.exact)
	if err != nil {
		if err = reason(err); errors.Is(err, fs.ErrNotExist) {
			return errChanged(o.Name, "it is no longer there")
		}
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	switch version := currentVersion(a); {
	case a.Size != o.Size:
		return errChanged(o.Name, fmt.Sprintf("it had %d bytes and has %d now", o.Size, a.Size))
	case o.ETag != "" && version != o.ETag, o.ETag == "" && !a.ModTime.Equal(o.ModTime):
		return errChanged(o.Name, "it was replaced")
	}
	return nil
}
