package activities

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// TestCopiedDataSettles has files that were copied just now with the times of the originals,
// as rsync -a, cp -p and tar do. They copy the marker before some of the files.
func TestCopiedDataSettles(t *testing.T) {
	l := newLooks(t)
	l.now = time.Now()
	settle := schemas.Wanted{Settle: schemas.Duration(2 * time.Minute)}
	l.dated("people.arrow", 48*time.Hour)
	unready := l.ready(settle, `"people.arrow" was written at`).Unready
	l.dated("_SUCCESS", 47*time.Hour)
	l.dated("people.arrow", 48*time.Hour)
	for !changedAfter(t, l, "people.arrow", "_SUCCESS") { // the clock of file systems has ticks
		l.dated("people.arrow", 48*time.Hour)
	}
	marked := settle
	marked.Ready.Marker = "_SUCCESS"
	l.ready(marked, `"people.arrow" was written at`)
	l.dated("_SUCCESS", 47*time.Hour)
	l.ready(marked, "")

	settle.Listing, settle.Quiet = unready.Listing, settle.Settle
	l.ready(settle, "")
	settle.Listing = ""
	l.now = l.now.Add(2*time.Minute + time.Second)
	l.ready(settle, "")
	if info := l.ready(settle, ""); l.now.Sub(info.Newest) < 48*time.Hour {
		t.Errorf("the newest file is of %s", info.Newest)
	}
}

func changedAfter(t *testing.T, l *looks, a, b string) bool {
	t.Helper()
	var at [2]time.Time
	for i, name := range []string{a, b} {
		info, err := os.Stat(filepath.Join(l.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		at[i] = time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
	}
	return at[0].After(at[1])
}
