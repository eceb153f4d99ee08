package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestOnlyWhatChangedIsSent goes through the versions of a segment and the
// settings that bear on what of it is sent.
func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{KeepData: true}, true)
	e := w.of("Diff")
	for _, step := range []struct {
		name                              string
		change                            func()
		full                              bool
		adds, updates, unchanged, removed int64
		requests                          [2]int64
		list                              []string
		warning                           string
	}{
		{name: "first run", change: func() { w.people("Diff", 1, 10, 1) }, adds: 10, requests: [2]int64{1, 0}, list: persons(1, 10)},
		{name: "nothing changed", unchanged: 10, list: persons(1, 10)},
		{name: "one of each", change: func() { w.people("Diff", 2, 10, 1, person(11)) }, adds: 1, unchanged: 9, removed: 1,
			requests: [2]int64{1, 1}, list: persons(2, 11)},
		{name: "a value changed", change: func() { w.people("Diff", 2, 11, 2) }, updates: 10, requests: [2]int64{1, 0}, list: persons(2, 11)},
		{name: "everybody", full: true, updates: 10, requests: [2]int64{1, 0}, list: persons(2, 11)},
		{name: "append", change: func() { e.Mode = schemas.ModeAppend; w.people("Diff", 4, 11, 2) }, unchanged: 8, list: persons(2, 11)},
		{name: "mirror again", change: func() { e.Mode = "" }, unchanged: 8, removed: 2, requests: [2]int64{0, 1}, list: persons(4, 11)},
		{name: "a full run removes too", change: func() { w.people("Diff", 5, 11, 2) }, full: true, updates: 7, removed: 1,
			requests: [2]int64{1, 1}, list: persons(5, 11)},
		{name: "the last full run is old enough", change: func() { e.FullEvery = 1 }, updates: 7, requests: [2]int64{1, 0}, list: persons(5, 11)},
		{name: "the last full run is recent", change: func() { e.FullEvery = schemas.Duration(168 * time.Hour) }, unchanged: 7, list: persons(5, 11)},
		{name: "another mapping", change: func() { e.FullEvery = 0; e.Fields.List[0].As = "visits" }, updates: 7, requests: [2]int64{1, 0},
			list: persons(5, 11), warning: "the mapping is not the one of the last run; everybody is sent again"},
		{name: "nothing changed at the end", unchanged: 7, list: persons(5, 11)},
	} {
		if step.change != nil {
			step.change()
		}
		v, requests := w.counting(func() operate.View {
			if step.full {
				return w.full(e)
			}
			return w.run(e)
		})
		r := w.done(v)
		m := r.Manifest
		if m.Adds != step.adds || m.Updates != step.updates || m.Unchanged != step.unchanged || m.Removals != step.removed || requests != step.requests {
			t.Errorf("%s: %d added, %d updated, %d unchanged, %d removed by %v requests; want %+v", step.name, m.Adds, m.Updates, m.Unchanged, m.Removals, requests, step)
		}
		if have := w.members("Diff"); !slices.Equal(have, step.list) {
			t.Errorf("%s: the list has %v, want %v", step.name, have, step.list)
		}
		if warnings := strings.Join(r.Warnings, "; "); warnings != step.warning {
			t.Errorf("%s: warnings %q, want %q", step.name, warnings, step.warning)
		}
	}
}

// snapshotFile is where the snapshot of an export of one segment lies.
func (w *world) snapshotFile(export string) string {
	return filepath.Join(w.dataRoot, filepath.FromSlash(schemas.SnapshotDir(export, export)), schemas.SnapshotFile)
}

// TestASnapshotThatIsNotToBeTrustedRemovesNobody spoils what is known of a list in
// every way, and then runs a version of the segment that half of the people have
// left: everybody is sent, and nobody is removed who may be somebody else's.
func TestASnapshotThatIsNotToBeTrustedRemovesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{}, true)
	w.people("Other", 50, 59, 1)
	w.done(w.run(w.of("Other")))
	for name, c := range map[string]struct {
		spoil   func(w *world, file string)
		warning string
		list    []string // at the end
	}{
		"lost": {
			spoil: func(w *world, file string) {
				if err := os.Remove(file); err != nil {
					w.t.Fatal(err)
				}
			},
			warning: "is lost; everybody is sent and nobody is removed", list: persons(1, 11),
		},
		"corrupt": {
			spoil: func(w *world, file string) {
				w.rewrite(file, func(data []byte) []byte { data[len(data)/2] ^= 0x40; return data })
			},
			warning: "everybody is sent and nobody is removed", list: persons(1, 11),
		},
		"cut short": {
			spoil: func(w *world, file string) {
				w.rewrite(file, func(data []byte) []byte { return data[:len(data)-20] })
			},
			warning: "everybody is sent and nobody is removed", list: persons(1, 11),
		},
		"empty": {
			spoil:   func(w *world, file string) { w.rewrite(file, func([]byte) []byte { return nil }) },
			warning: "everybody is sent and nobody is removed", list: persons(1, 11),
		},
		"of another export": {
			spoil: func(w *world, file string) {
				other, err := os.ReadFile(w.snapshotFile("Other"))
				if err != nil {
					w.t.Fatal(err)
				}
				w.rewrite(file, func([]byte) []byte { return other })
			},
			warning: "everybody is sent and nobody is removed", list: persons(1, 11),
		},
		"of a list that was deleted": {
			spoil:   func(w *world, _ string) { w.deleteList(w.list(w.t.Name()).ID) },
			warning: "everybody is sent", list: persons(5, 11),
		},
		"of a list that was replaced": {
			spoil: func(w *world, _ string) {
				w.deleteList(w.list(w.t.Name()).ID)
				w.subscribe(w.addList(w.t.Name(), ""), persons(1, 3)...)
			},
			warning: "everybody is sent and nobody is removed", list: slices.Concat(persons(1, 3), persons(5, 11)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.in(t)
			e := w.of(t.Name())
			w.people(t.Name(), 1, 10, 1)
			w.done(w.run(e))
			c.spoil(w, w.snapshotFile(t.Name()))
			w.people(t.Name(), 5, 11, 1)
			r := w.done(w.run(e))
			if m, u := r.Manifest, r.Upload; m.Removals != 0 || m.Adds != 7 || u.Requests != 1 || u.Removed != 0 {
				t.Errorf("%d added, %d updated, %d removed by %d requests", m.Adds, m.Updates, m.Removals, u.Requests)
			}
			if have := w.members(t.Name()); !slices.Equal(have, c.list) {
				t.Errorf("the list has %v, want %v", have, c.list)
			}
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], c.warning) {
				t.Errorf("warnings %q, want %q", r.Warnings, c.warning)
			}
			// From there on it is known again whom this export put there.
			w.people(t.Name(), 6, 11, 1)
			r = w.done(w.run(e))
			if m, u := r.Manifest, r.Upload; u.Removed != 1 || m.Unchanged != 6 || u.Requests != 1 {
				t.Errorf("at the next run %d removed, %d unchanged by %d requests", u.Removed, m.Unchanged, u.Requests)
			}
		})
	}
}

// rewrite changes a file's content in place.
func (w *world) rewrite(file string, change func([]byte) []byte) {
	w.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, change(data), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// subscribe puts people on a list as one of Iterable's other users would.
func (w *world) subscribe(list int64, addresses ...string) {
	w.t.Helper()
	for _, address := range addresses {
		w.call(http.MethodPost, "/api/lists/subscribe", fmt.Sprintf(`{"listId": %d, "subscribers": [{"email": %q}]}`, list, address))
	}
}
