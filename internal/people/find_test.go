package people

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"testing"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// exports is how many exports the data root of TestFindInMany has.
const exports = 20

// readsOfOne is the number of reads that look a member up in one snapshot: three to open the file,
// and the record batch that may have the member.
const readsOfOne = 4

// TestFindInMany looks a person up in the snapshots of 20 exports with FIND members together. By
// the identifier of the project's members it reads one record batch of each. By the other one it
// reads the whole files. It reports the time of both.
func TestFindInMany(t *testing.T) {
	all, err := strconv.Atoi(os.Getenv("FIND"))
	if err != nil {
		all = exports * 70_000 // two record batches each
	}
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	size := writeMany(t, root, all/exports)
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID} {
		place := Place{Root: root, Project: func(string) (string, bool) { return project, true }}
		for person, want := range map[string]int{"P77@Example.com": exports, "nobody@example.com": 0} {
			who, ok := Parse(person)
			if !ok {
				t.Fatal(person)
			}
			began := time.Now()
			found, err := place.Find(t.Context(), who, false)
			took := time.Since(began)
			if err != nil || len(found.Lists) != want || found.Snapshots != exports || len(found.Unreadable) > 0 {
				t.Errorf("%s in projects of type %q: %+v, %v", person, project, found, err)
			}
			scanned := found.Bytes >= size
			if byKey := project == schemas.ProjectEmail; byKey && (found.Reads > exports*readsOfOne || scanned) || !byKey && !scanned {
				t.Errorf("%s in projects of type %q: %d reads of %d of %d bytes", person, project, found.Reads, found.Bytes, size)
			}
			t.Logf("%d members of %d exports, projects of type %q: %s is on %d lists: %d reads, %.1f MB, %s",
				all, exports, project, person, len(found.Lists), found.Reads, float64(found.Bytes)/1e6, took.Round(time.Millisecond))
		}
	}
}

// writeMany writes a snapshot with the same n members for each export, and returns the size of all.
func writeMany(t *testing.T, root *storage.Root, n int) (size int64) {
	t.Helper()
	address := func(i int) []byte { return fmt.Appendf(nil, "p%d@example.com", i) }
	type numbered struct {
		key snapshot.Key
		i   int
	}
	members := make([]numbered, n)
	for i := range members {
		members[i] = numbered{batch.KeyHash(address(i), nil, schemas.ProjectEmail), i}
	}
	slices.SortFunc(members, func(a, b numbered) int { return bytes.Compare(a.key[:], b.key[:]) })
	for e := range exports {
		var file bytes.Buffer
		h := snapshot.Header{Connection: "c", Export: fmt.Sprintf("Export %02d", e), Segment: "S", ListID: int64(e)}
		out, err := snapshot.NewWriter(&file, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if err := out.Append(&snapshot.Member{Key: m.key, Fields: snapshot.Reserved, Email: address(m.i)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := out.Close(); err != nil {
			t.Fatal(err)
		}
		size += int64(file.Len())
		key := path.Join(dataroot.SnapshotDir(h.Connection, h.Export, h.Segment), dataroot.SnapshotName(1))
		if err := root.Write(t.Context(), key, file.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	return size
}
