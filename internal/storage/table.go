package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gocloud.dev/blob"
)

// Formats of tables. A table consists of the files that its log lists; its folder also
// has files with deleted rows.
const (
	Delta   = "Delta"
	Iceberg = "Iceberg"
	Hudi    = "Hudi"
)

// InTable is the error of a source that is a table, is in one, or contains one.
type InTable struct {
	Format string
	// Folder is the table's folder below the source, or a symbolic link there that
	// leads into the table. It is empty if the source itself is the table or in it.
	Folder string
	// Is reports whether the source is the table's folder, or everything in it.
	Is bool
}

func (t *InTable) Error() string {
	what, advice := "it", "name the table's folder as the source"
	if t.Folder != "" {
		what = strconv.Quote(t.Folder)
	}
	if t.Format != Delta {
		advice = "write the rows of the table into a folder of Parquet files, or into a Delta table, and name that"
	}
	return fmt.Sprintf("%s belongs to a table (format %s), whose folder also has files with deleted rows; %s", what, t.Format, advice)
}

// tableMark returns the format of the table whose metadata a name belongs to: Delta's
// log, Hudi's timeline or Iceberg's metadata. It returns "" for other names.
func tableMark(name string) string {
	switch dir, base := path.Split(name); {
	case base == "_delta_log":
		return Delta
	case base == ".hoodie":
		return Hudi
	case path.Base(dir) == "metadata" && strings.HasSuffix(strings.TrimSuffix(base, ".gz"), ".metadata.json"):
		return Iceberg
	}
	return ""
}

// tableOf returns the format and the folder of a table that a key belongs to.
func tableOf(key string) (format, folder string) {
	for end := 0; end < len(key); end++ {
		next := strings.IndexByte(key[end:], '/')
		if next < 0 {
			next = len(key) - end
		}
		end += next
		if format = tableMark(key[:end]); format != "" {
			if folder = path.Dir(key[:end]); format == Iceberg {
				folder = path.Dir(folder)
			}
			return format, folder
		}
	}
	return "", ""
}

// FindTable returns an *InTable if a source is a table or is in one, and no error if it is
// not. closed are folders at or above the source, in buckets as URLs, in which it may not look
// for a table's metadata, and so can't tell.
func FindTable(ctx context.Context, source string) (closed []string, err error) {
	var find func(start string) (*InTable, []string, error)
	var starts []string
	var pattern string
	if isBucket(source) {
		o, err := openBucket(ctx, source)
		if err != nil {
			return nil, err
		}
		start, rest, err := o.where.fixed(ctx, o.bucket)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", o.where, err)
		}
		starts, pattern = []string{start}, rest
		find = func(start string) (*InTable, []string, error) {
			table, closed, err := tableAround(start, func(folder string) (string, error) { return tableInBucket(ctx, o.bucket, folder) })
			for i, folder := range closed {
				if folder == "." {
					folder = ""
				}
				closed[i] = bucketURL{scheme: o.where.scheme, bucket: o.where.bucket, key: folder}.String()
			}
			return table, closed, err
		}
	} else {
		loc, err := parseLocation(source)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", named(source), err)
		}
		loc.settle()
		real, err := filepath.EvalSymlinks(loc.base)
		switch {
		case err == nil && real != loc.base:
			starts = []string{real}
		case errors.Is(err, fs.ErrPermission):
			closed = []string{loc.base}
		case err != nil && !isMissing(err):
			return nil, fmt.Errorf("source %q: %w", named(source), err)
		}
		// A table's own folder can be a link that leads out of the table.
		starts, pattern = append(starts, loc.base), loc.pattern
		find = func(start string) (*InTable, []string, error) { return tableAround(start, tableInFolder) }
	}
	for _, start := range starts {
		table, unread, err := find(start)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", named(source), err)
		}
		closed = append(closed, unread...)
		if table != nil {
			table.Is = table.Folder == start && strings.Trim(pattern, "*") == ""
			table.Folder = ""
			return nil, table
		}
	}
	return closed, nil
}

// tableAround returns the table that a folder is or is in, or nil. closed are the folders
// that look may not read.
func tableAround(start string, look func(folder string) (format string, err error)) (table *InTable, closed []string, err error) {
	for folder := start; ; folder = path.Dir(folder) {
		format, err := look(folder)
		switch {
		case errors.Is(err, fs.ErrPermission):
			closed = append(closed, folder)
		case err != nil:
			return nil, nil, err
		case format != "":
			return &InTable{Format: format, Folder: folder}, nil, nil
		}
		if folder == "." || folder == "/" || folder == "" {
			return nil, closed, nil
		}
	}
}

// isMissing reports whether an error is that of a file that does not exist.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func tableInFolder(folder string) (string, error) {
	for name, format := range map[string]string{"_delta_log": Delta, ".hoodie": Hudi} {
		switch info, err := os.Stat(filepath.Join(folder, name)); {
		case err == nil && info.IsDir():
			return format, nil
		case err != nil && !isMissing(err):
			return "", err
		}
	}
	found, err := os.ReadDir(filepath.Join(folder, "metadata"))
	for _, e := range found {
		if tableMark("metadata/"+e.Name()) != "" {
			return Iceberg, nil
		}
	}
	if isMissing(err) {
		err = nil
	}
	return "", err
}

func tableInBucket(ctx context.Context, bucket *blob.Bucket, folder string) (string, error) {
	prefix := folder + "/"
	if folder == "." || folder == "" {
		prefix = ""
	}
	for _, mark := range []string{"_delta_log/", ".hoodie/", "metadata/"} {
		// Iceberg's metadata folder can have any number of manifests, which are listed
		// before v3.metadata.json.
		for page := blob.FirstPageToken; len(page) > 0; {
			listed, next, err := bucket.ListPage(ctx, page, 1000, &blob.ListOptions{Prefix: prefix + mark})
			if err != nil {
				return "", reason(err)
			}
			for _, l := range listed {
				if format, _ := tableOf(strings.TrimPrefix(l.Key, prefix)); format != "" {
					return format, nil
				}
			}
			page = next
		}
	}
	return "", nil
}
