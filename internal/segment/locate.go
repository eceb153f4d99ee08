package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/delta"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Located is the content of a source: files, or a version of a table.
type Located struct {
	// Progress, if set, is called by Inspect after each file with the number of footers
	// read so far.
	Progress func(files int)

	objects  []storage.Object
	table    *delta.Table
	warnings []string
	// writing describes the signs that a program is still writing files.
	writing []string
}

// Latest makes Locate find the latest version of a table.
const Latest = delta.Latest

// Search is what Locate looks for in a source.
type Search struct {
	// Version is the version of a table that an earlier Locate found, or Latest.
	Version int64
	// Statistics asks for those that a table's log has of its files, for a segment with a
	// condition.
	Statistics bool
	// Marker is the Marker of a schemas.Ready, which is left out unless it has rows.
	Marker string
}

// Locate finds the files of a source. It calls allow for each file before it opens it,
// and returns an error of allow, or of the listing, unchanged. If there are no files, the
// result has the signs that some are being written.
func Locate(ctx context.Context, source string, search Search, allow func(storage.Object) (storage.Object, error)) (*Located, error) {
	var in *storage.InTable
	closed, err := storage.FindTable(ctx, source)
	if errors.As(err, &in) {
		return locateTable(ctx, source, in, search, allow)
	} else if err != nil {
		return nil, err
	}
	found, err := storage.Survey(ctx, source)
	if errors.As(err, &in) {
		return nil, &Error{Type: schemas.ErrorSegmentUnreadable, Err: err}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l := &Located{}
	if closed = append(closed, found.Closed...); len(closed) > 0 {
		for i, folder := range closed {
			closed[i] = strconv.Quote(folder)
		}
		first, more := few(closed)
		l.warnings = append(l.warnings, fmt.Sprintf("the worker may not list _delta_log/, .hoodie/ and metadata/ in %s%s, so it can't tell whether the source is part of a table (Delta, Iceberg, Hudi), whose folders also have files with deleted rows; let the worker list these three there (docs/storage.md)", first, more))
	}
	objects, failed := l.committed(ctx, found, allow)
	if failed != nil {
		return nil, failed
	}
	l.writing = append(l.writing, pending(found.Notes)...)
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("source %q: no job has committed the files that are there: %w", source, fs.ErrNotExist)
	}
	if err != nil {
		return l, err
	}
	marker := markerOf(search.Marker)
	if len(objects) > 1 {
		objects = l.leaveOut(objects, marker)
	}
	if objects, err = allowed(objects, allow); err != nil {
		return nil, err
	}
	if l.objects, err = marker.leaveOut(ctx, objects); err != nil {
		return nil, err
	}
	if len(l.objects) == 0 {
		return l, fmt.Errorf("source %q has no file but the marker (ready.marker): %w", source, fs.ErrNotExist)
	}
	return l, nil
}

// few returns the first of some names, and how many more there are.
func few(names []string) (first, more string) {
	const most = 5
	if n := len(names) - most; n > 0 {
		names, more = names[:most], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", "), more
}

func allowed(objects []storage.Object, allow func(storage.Object) (storage.Object, error)) (_ []storage.Object, err error) {
	for i, o := range objects {
		if objects[i], err = allow(o); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// notSegments are the extensions of files that are often stored beside data and can't be
// part of a segment.
var notSegments = []string{".md", ".markdown", ".rst", ".txt", ".html", ".pdf", ".crc", ".md5", ".sha1", ".sha256", ".sha512"}

// leaveOut removes files that can't be part of a segment. It adds a warning about those that are
// not markers.
func (l *Located) leaveOut(objects []storage.Object, marker marker) []storage.Object {
	var left []string
	kept := slices.DeleteFunc(slices.Clone(objects), func(o storage.Object) bool {
		out := slices.Contains(notSegments, strings.ToLower(path.Ext(o.Name)))
		if out && !marker.is(o.Name) {
			left = append(left, o.Name)
		}
		return out
	})
	if len(kept) == 0 {
		return objects // reading them fails with an error that names the file
	}
	if len(left) > 0 {
		first, more := few(left)
		l.warnings = append(l.warnings, fmt.Sprintf("files that are not Parquet or Arrow were left out: %s%s", columnar.Shortened(first, 500), more))
	}
	return kept
}

func locateTable(ctx context.Context, source string, in *storage.InTable, search Search, allow func(storage.Object) (storage.Object, error)) (*Located, error) {
	if in.Format != storage.Delta || !in.Is {
		return nil, &Error{Type: schemas.ErrorSegmentUnreadable, Err: fmt.Errorf("source %q: %w", source, in)}
	}
	l := &Located{}
	var failed error // of the listing
	list := func(below string, keep func(name string) bool) (objects []storage.Object, _ error) {
		if objects, failed = storage.ListTable(ctx, source, below, keep); failed == nil {
			objects, failed = allowed(objects, allow)
		}
		return objects, failed
	}
	var err error
	if l.table, err = delta.Read(ctx, list, search.Version, search.Statistics); failed != nil {
		return nil, failed
	} else if err != nil {
		return nil, columnar.AsError("", err)
	}
	for _, f := range l.table.Files {
		l.objects = append(l.objects, f.Object)
	}
	for _, c := range l.table.Columns {
		if c.Absent > 0 {
			l.warnings = append(l.warnings, fmt.Sprintf("the log of the Delta table %q has no value of the partition column %q for %d of its %d files; it is read as null, since old writers leave out nulls", source, c.Name, c.Absent, len(l.objects)))
		}
	}
	return l, nil
}
