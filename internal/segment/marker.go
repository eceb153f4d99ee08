package segment

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"iterable-segment-export/internal/arrowfile"
	"iterable-segment-export/internal/storage"
)

// marker is the pattern of a Search's Marker with any date for {date}: those of other days lie
// beside the one that a run waits for.
type marker string

func markerOf(pattern string) marker {
	if pattern == "" {
		return ""
	}
	return marker(strings.ReplaceAll(path.Clean(pattern), "{date}", "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"))
}

// is reports whether a name is that of a marker. Only the last element of the pattern may have
// wildcards (storage.Beside).
func (m marker) is(name string) bool {
	inFolder, last := path.Split(string(m))
	folder, base := path.Split(name)
	return m != "" && doublestar.MatchUnvalidated(inFolder, folder) && doublestar.MatchUnvalidated(last, base)
}

// ofData are the extensions of files that have rows, whatever their content: one that is damaged
// is reported and not left out.
var ofData = []string{".parquet", ".parq", ".pq", ".arrow", ".arrows", ".feather", ".ipc"}

// leaveOut removes markers. A file with rows can be a marker as well, such as the last one that a
// job writes, and stays.
func (m marker) leaveOut(ctx context.Context, objects []storage.Object) (kept []storage.Object, err error) {
	for _, o := range objects {
		rows := true
		if m.is(o.Name) && !slices.Contains(ofData, strings.ToLower(path.Ext(o.Name))) {
			if rows, err = beginsAsData(ctx, o); err != nil {
				return nil, err
			}
		}
		if rows {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// beginsAsData reports whether a file begins as Parquet or Arrow.
func beginsAsData(ctx context.Context, o storage.Object) (bool, error) {
	if o.Size == 0 {
		return false, nil
	}
	src, err := openSource(ctx, o)
	if err != nil {
		return false, err
	}
	defer src.Close()
	head := make([]byte, min(src.Size(), 8))
	if err := src.ReadFull(head, 0); err != nil {
		return false, err
	}
	return arrowfile.Is(head) || slices.ContainsFunc([]string{"PAR1", "PARE", "FEA1"}, func(magic string) bool {
		return bytes.HasPrefix(head, []byte(magic))
	}), nil
}
