package runs

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestOnlyWhatChangedIsSent goes through the versions of a segment and the
// settings that bear on what of it is sent.
func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{KeepData: true}, true)
	e := w.Of("Diff")
	for _, step := range []struct {
		name                              string
		change                            func()
		full                              bool
		adds, updates, unchanged, removed int64
		filtered                          int64
		requests                          [2]int64
		list                              []string
		warning                           string
	}{
		{name: "first run", change: func() { w.People("Diff", 1, 10, 1) }, adds: 10, requests: [2]int64{1, 0}, list: world.Persons(1, 10),
			warning: "Iterable created the field n; a field can never be removed there"},
		{name: "nothing changed", unchanged: 10, list: world.Persons(1, 10)},
		{name: "one of each", change: func() { w.People("Diff", 2, 10, 1, world.Person(11)) }, adds: 1, unchanged: 9, removed: 1,
			requests: [2]int64{1, 1}, list: world.Persons(2, 11)},
		{name: "a value changed", change: func() { w.People("Diff", 2, 11, 2) }, updates: 10, requests: [2]int64{1, 0}, list: world.Persons(2, 11)},
		{name: "everybody", full: true, updates: 10, requests: [2]int64{1, 0}, list: world.Persons(2, 11)},
		{name: "append", change: func() { e.Mode = schemas.ModeAppend; w.People("Diff", 4, 11, 2) }, unchanged: 8, list: world.Persons(2, 11)},
		{name: "mirror again", change: func() { e.Mode = "" }, unchanged: 8, removed: 2, requests: [2]int64{0, 1}, list: world.Persons(4, 11)},
		{name: "a full run removes too", change: func() { w.People("Diff", 5, 11, 2) }, full: true, updates: 7, removed: 1,
			requests: [2]int64{1, 1}, list: world.Persons(5, 11)},
		{name: "the last full run is old enough", change: func() { e.FullEvery = 1 }, updates: 7, requests: [2]int64{1, 0}, list: world.Persons(5, 11)},
		{name: "the last full run is recent", change: func() { e.FullEvery = schemas.Duration(168 * time.Hour) }, unchanged: 7, list: world.Persons(5, 11)},
		{name: "another mapping", change: func() { e.FullEvery = 0; e.Fields.List[0].As = "visits" }, updates: 7, requests: [2]int64{1, 0},
			list: world.Persons(5, 11), warning: "the mapping is not the one of the last run; all profiles are sent again; " +
				"Iterable created the field visits; a field can never be removed there"},
		{name: "two are filtered out", change: func() {
			e.Segments[0].Where = &schemas.Condition{Column: e.Email, AtLeast: literal("p006"), LessThan: literal("p011")}
		}, unchanged: 5, removed: 2, filtered: 2, requests: [2]int64{0, 1}, list: world.Persons(6, 10)},
		{name: "one of them is not", change: func() { e.Segments[0].Where.LessThan = "" }, adds: 1, unchanged: 5, filtered: 1,
			requests: [2]int64{1, 0}, list: world.Persons(6, 11)},
		{name: "without a condition", change: func() { e.Segments[0].Where = nil }, adds: 1, unchanged: 6, requests: [2]int64{1, 0}, list: world.Persons(5, 11)},
		{name: "nothing changed at the end", unchanged: 7, list: world.Persons(5, 11)},
		{name: "all columns", change: func() { e.Fields = schemas.Fields{All: true} }, updates: 7, requests: [2]int64{1, 0},
			list: world.Persons(5, 11), warning: "the mapping is not the one of the last run; all profiles are sent again"},
		{name: "a new column", change: func() { w.Table("Diff", withPlan, planned(5, 11, 2)) }, updates: 7, requests: [2]int64{1, 0},
			list: world.Persons(5, 11), warning: "the mapping has gained the field plan since the last run; profiles with a value there are sent again; " +
				"Iterable created the field plan; a field can never be removed there"},
		{name: "the same columns", unchanged: 7, list: world.Persons(5, 11)},
		{name: "without the new column", change: func() { w.People("Diff", 5, 11, 2) }, updates: 7, requests: [2]int64{1, 0},
			list: world.Persons(5, 11), warning: "the mapping has lost the field plan since the last run; profiles with a value there are sent again"},
	} {
		if step.change != nil {
			step.change()
		}
		v, requests := counting(w, func() operate.View {
			if step.full {
				return w.Full(e)
			}
			return w.Run(e)
		})
		r := w.Done(v)
		m := r.Manifest
		if m.Adds != step.adds || m.Updates != step.updates || m.Unchanged != step.unchanged || m.Removals != step.removed || m.Filtered != step.filtered || requests != step.requests {
			t.Errorf("%s: %d added, %d updated, %d unchanged, %d removed by %v requests; want %+v", step.name, m.Adds, m.Updates, m.Unchanged, m.Removals, requests, step)
		}
		if have := w.Members("Diff"); !slices.Equal(have, step.list) {
			t.Errorf("%s: the list has %v, want %v", step.name, have, step.list)
		}
		if warnings := strings.Join(r.Warnings, "; "); warnings != step.warning {
			t.Errorf("%s: warnings %q, want %q", step.name, warnings, step.warning)
		}
	}
}

// withPlan are the columns of planned.
var withPlan = []arrow.Field{{Name: "email", Type: world.TextColumn}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "plan", Type: world.TextColumn}}

// planned returns the rows of the profiles numbered first to last, with a plan each.
func planned(first, last, n int) string {
	var rows []string
	for i := first; i <= last; i++ {
		rows = append(rows, fmt.Sprintf(`{"email": %q, "n": %d, "plan": "gold"}`, world.Person(i), n))
	}
	return "[" + strings.Join(rows, ",") + "]"
}

func literal(text string) schemas.Literal { return schemas.Literal(strconv.Quote(text)) }

// snapshotFile is where the only snapshot of an export of one segment lies.
func snapshotFile(w *world.World, export string) string {
	w.T.Helper()
	found, err := filepath.Glob(filepath.Join(w.DataRoot, filepath.FromSlash(dataroot.SnapshotDir("sandbox", export, export)), "snapshot-*.arrow"))
	if err != nil || len(found) != 1 {
		w.T.Fatalf("the snapshots of %q: %q, %v", export, found, err)
	}
	return found[0]
}

// TestASnapshotThatIsNotToBeTrustedRemovesNobody spoils what is known of a list in
// every way, and then runs a version of the segment that half of the people have
// left: everybody is sent, and nobody is removed who may be somebody else's.
func TestASnapshotThatIsNotToBeTrustedRemovesNobody(t *testing.T) {
	t.Parallel()
	// Sizes do not lag: a snapshot is lost days after the list was filled, not seconds.
	w := world.New(t, sandbox.Config{Lag: -1}, true)
	w.People("Other", 50, 59, 1)
	w.Done(w.Run(w.Of("Other")))
	for name, c := range map[string]struct {
		spoil   func(w *world.World, file string)
		warning string
		list    []string // at the end
	}{
		"lost": {
			spoil: func(w *world.World, file string) {
				if err := os.Remove(file); err != nil {
					w.T.Fatal(err)
				}
			},
			warning: "is lost; all profiles are sent and none is removed", list: world.Persons(1, 11),
		},
		"corrupt": {
			spoil: func(w *world.World, file string) {
				rewrite(w, file, func(data []byte) []byte { data[len(data)/2] ^= 0x40; return data })
			},
			warning: "all profiles are sent and none is removed", list: world.Persons(1, 11),
		},
		"cut short": {
			spoil: func(w *world.World, file string) {
				rewrite(w, file, func(data []byte) []byte { return data[:len(data)-20] })
			},
			warning: "all profiles are sent and none is removed", list: world.Persons(1, 11),
		},
		"empty": {
			spoil:   func(w *world.World, file string) { rewrite(w, file, func([]byte) []byte { return nil }) },
			warning: "all profiles are sent and none is removed", list: world.Persons(1, 11),
		},
		"of another export": {
			spoil: func(w *world.World, file string) {
				other, err := os.ReadFile(snapshotFile(w, "Other"))
				if err != nil {
					w.T.Fatal(err)
				}
				rewrite(w, file, func([]byte) []byte { return other })
			},
			warning: "all profiles are sent and none is removed", list: world.Persons(1, 11),
		},
		"of a list that was deleted": {
			spoil:   func(w *world.World, _ string) { w.DeleteList(w.List(w.T.Name()).ID) },
			warning: "all profiles are sent", list: world.Persons(5, 11),
		},
		"of a list that was replaced": {
			spoil: func(w *world.World, _ string) {
				w.DeleteList(w.List(w.T.Name()).ID)
				subscribe(w, w.AddList(w.T.Name(), ""), world.Persons(1, 3)...)
			},
			warning: "all profiles are sent and none is removed", list: slices.Concat(world.Persons(1, 3), world.Persons(5, 11)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.In(t)
			e := w.Of(t.Name())
			w.People(t.Name(), 1, 10, 1)
			w.Done(w.Run(e))
			c.spoil(w, snapshotFile(w, t.Name()))
			w.People(t.Name(), 5, 11, 1)
			r := w.Done(w.Run(e))
			// A list that the run had to make is not known at once: there are more requests.
			if m, u := r.Manifest, r.Upload; m.Removals != 0 || m.Adds != 7 || u.Sent != 7 || u.Removed != 0 {
				t.Errorf("%d added, %d updated, %d removed by %d requests, %d of them failed", m.Adds, m.Updates, m.Removals, u.Requests, u.Failed)
			}
			if have := w.Members(t.Name()); !slices.Equal(have, c.list) {
				t.Errorf("the list has %v, want %v", have, c.list)
			}
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], c.warning) {
				t.Errorf("warnings %q, want %q", r.Warnings, c.warning)
			}
			// From there on it is known again which members this export added.
			w.People(t.Name(), 6, 11, 1)
			r = w.Done(w.Run(e))
			if m, u := r.Manifest, r.Upload; u.Removed != 1 || m.Unchanged != 6 || u.Requests != 1 {
				t.Errorf("at the next run %d removed, %d unchanged by %d requests", u.Removed, m.Unchanged, u.Requests)
			}
		})
	}
}

// rewrite changes a file's content in place.
func rewrite(w *world.World, file string, change func([]byte) []byte) {
	w.T.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := os.WriteFile(file, change(data), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// subscribe puts people on a list as one of Iterable's other users would.
func subscribe(w *world.World, list int64, addresses ...string) {
	w.T.Helper()
	for _, address := range addresses {
		w.Call(http.MethodPost, "/api/lists/subscribe", fmt.Sprintf(`{"listId": %d, "subscribers": [{"email": %q}]}`, list, address))
	}
}

// counting gives what a run did and how many requests of either kind it made.
func counting(w *world.World, run func() operate.View) (operate.View, [2]int64) {
	w.T.Helper()
	before := w.Changes()
	v := run()
	after := w.Changes()
	return v, [2]int64{after[0] - before[0], after[1] - before[1]}
}
