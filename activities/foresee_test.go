package activities

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// A plan of several segments and exports asks Iterable for the fields once, and says which
// export sends profiles again, and why: because its segment has another column than at the last
// run, also to the lists of a divided segment, its mapping has changed, a full run is due, or the
// snapshot is lost or restored.
func TestForeseeAsksOnce(t *testing.T) {
	b, source := newForeseeing(t)
	all := []schemas.Segment{{Name: "High-value", Source: source}, {Name: "Loyal", Source: source}}
	export := func(name string, fields schemas.Fields) schemas.Export {
		return schemas.Export{Name: name, Connection: "sandbox", Email: "Mail", Fields: fields, Segments: all}
	}
	each := schemas.Export{Name: "Each", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true},
		Segments: []schemas.Segment{{Name: "In {Mail}", Source: source, ForEach: "Mail"}}}
	if err := b.Root.WriteJSON(t.Context(), dataroot.ListsKey(schemas.RunRef{Connection: "sandbox", Export: "Each", Segment: "In {Mail}"}), dividedLists{Lists: []string{"Loyal"}}); err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string][]string{"Same": {"Value"}, "Other": {}, "Each": {}, "Mapped": {"Value"}, "Due": {"Value"}, "Restored": {"Value"}} {
		run := schemas.RunRef{Connection: "sandbox", Export: name, RunID: "r1", Segment: "Loyal"}
		e := export(name, schemas.Fields{All: true})
		if name == "Mapped" {
			e.Nulls = schemas.NullsSend
		}
		h := ledger.NewHeader(run, e, 7, schemas.ProjectEmail)
		h.Fields, h.Restored, h.FullAt = fields, name == "Restored", time.Now().Add(-time.Hour)
		if err := b.Ledger().Publish(t.Context(), run, snapshot.NewUpdate("", 0), ledger.Opened{}, h); err != nil {
			t.Fatal(err)
		}
	}
	for name, list := range map[string]report.PastList{
		"Lost":   {Segment: "Loyal", ListID: 7, State: schemas.StateDone},
		"None":   {Segment: "Loyal", ListID: 7, State: schemas.StateDone},
		"Failed": {Segment: "Loyal", ListID: 7, State: schemas.StateAborted},
		"Empty":  {Segment: "Loyal", State: schemas.StateDone},
	} {
		past := report.PastRuns{Connection: "sandbox", Export: name, Runs: []report.PastRun{{RunID: "r1", Lists: []report.PastList{list}}}}
		if err := b.Root.WriteJSON(t.Context(), dataroot.PastRunsKey("sandbox", name), past); err != nil {
			t.Fatal(err)
		}
	}
	due, later := export("Due", schemas.Fields{All: true}), export("Same", schemas.Fields{All: true})
	due.FullEvery, later.FullEvery = schemas.Duration(time.Minute), schemas.Duration(2*time.Hour)
	cases := []struct {
		schemas.Export
		again string
	}{
		{export("New", schemas.Fields{All: true}), ""},
		{later, ""},
		{export("Other", schemas.Fields{All: true}), "the segment has other columns than at the last run"},
		{each, "the segment has other columns than at the last run"},
		{export("Mapped", schemas.Fields{All: true}), "the mapping is not the one of the last run"},
		{due, schemas.FullRunDue},
		{export("Restored", schemas.Fields{All: true}), "the snapshot is older than what was sent last: the data root was restored from a backup"},
		{export("Lost", schemas.Fields{All: true}), `the snapshot of list "Loyal" is lost or damaged`},
		{export("None", schemas.Fields{}), `the snapshot of list "Loyal" is lost or damaged`},
		{export("Failed", schemas.Fields{All: true}), ""},
		{export("Empty", schemas.Fields{All: true}), ""},
	}
	var exports []schemas.Export
	for _, c := range cases {
		exports = append(exports, c.Export)
	}
	for i, f := range b.Foresee(t.Context(), exports) {
		want := []string{"Value"}
		if cases[i].Fields.IsZero() {
			want = nil
		}
		if !slices.Equal(f.NewFields, want) || f.SentAgain != cases[i].again || f.Unknown != "" {
			t.Errorf("export %q: %+v, want fields %v, sent again %q", exports[i].Name, f, want, cases[i].again)
		}
	}
	if n := b.sandbox.Stats(false).Endpoints["users/getFields"].Requests; n != 1 {
		t.Errorf("%d requests for the fields", n)
	}
}

// What waits for an approval is foreseen, even if a full run is due, which needs none: for the
// same segment, or for another before or after it. A full run sends all profiles, whatever the
// columns.
func TestAFullRunThatIsDueHidesNothing(t *testing.T) {
	const columns, lost = "the segment has other columns than at the last run", `the snapshot of list "B" is lost or damaged`
	b, source := newForeseeing(t)
	for name, c := range map[string]struct {
		columns map[string][]string // at the last run, by list
		dueOf   string              // the list whose full run is due; its last one was two hours ago
		lost    string
		want    string
	}{
		"lost after":           {map[string][]string{"A": {"Value"}}, "A", "B", lost},
		"other columns after":  {map[string][]string{"A": {"Value"}, "B": {}}, "A", "", columns},
		"other columns before": {map[string][]string{"A": {}, "B": {"Value"}}, "B", "", columns},
		"other columns in it":  {map[string][]string{"A": {}, "B": {"Value"}}, "A", "", schemas.FullRunDue},
		"nothing else":         {map[string][]string{"A": {"Value"}, "B": {"Value"}}, "B", "", schemas.FullRunDue},
	} {
		e := schemas.Export{Name: name, Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true},
			Segments: []schemas.Segment{{Name: "A", Source: source}, {Name: "B", Source: source}}}
		e.FullEvery = schemas.Duration(time.Hour)
		for list, fields := range c.columns {
			run := schemas.RunRef{Connection: "sandbox", Export: name, RunID: "r1", Segment: list}
			h := ledger.NewHeader(run, e, 7, schemas.ProjectEmail)
			h.Fields, h.FullAt = fields, time.Now()
			if list == c.dueOf {
				h.FullAt = h.FullAt.Add(-2 * time.Hour)
			}
			if err := b.Ledger().Publish(t.Context(), run, snapshot.NewUpdate("", 0), ledger.Opened{}, h); err != nil {
				t.Fatal(err)
			}
		}
		past := report.PastRuns{Connection: "sandbox", Export: name, Runs: []report.PastRun{{RunID: "r1", Lists: []report.PastList{{Segment: c.lost, ListID: 7, State: schemas.StateDone}}}}}
		if err := b.Root.WriteJSON(t.Context(), dataroot.PastRunsKey("sandbox", name), past); err != nil {
			t.Fatal(err)
		}
		if f := b.Foresee(t.Context(), []schemas.Export{e})[0]; f.SentAgain != c.want || f.Unknown != "" {
			t.Errorf("%s: %+v, want %q", name, f, c.want)
		}
	}
}

// TestForeseeKnowsADeclaredRestore, before a run has noticed it: the runs of schedules will wait.
func TestForeseeKnowsADeclaredRestore(t *testing.T) {
	b, source := newForeseeing(t)
	e := schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Segments: []schemas.Segment{{Name: "A", Source: source}}}
	run := schemas.RunRef{Connection: "sandbox", Export: e.Name, RunID: "r1", Segment: "A"}
	if err := b.Ledger().Publish(t.Context(), run, snapshot.NewUpdate("", 0), ledger.Opened{}, ledger.NewHeader(run, e, 7, schemas.ProjectEmail)); err != nil {
		t.Fatal(err)
	}
	for restore, want := range map[string]string{"": "", "restore 1": "the snapshot is older than what was sent last: the data root was restored from a backup"} {
		if err := b.Root.WriteJSON(t.Context(), dataroot.RestoreKey, dataroot.Restore{ID: restore, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if f := b.Foresee(t.Context(), []schemas.Export{e})[0]; f.SentAgain != want || f.Unknown != "" {
			t.Errorf("restore %q: %+v, want %q", restore, f, want)
		}
	}
}

// What can't be read is named by its own text, and does not hide the rest: the data root, a
// segment, the fields of the project.
func TestForeseeNamesWhatIsNotKnown(t *testing.T) {
	const sent, created, both = "what a run would send again is not fully known: ", "the data fields that a run would create are not known: ",
		`the data fields that a run would create or send again are not known, because segment "B" can't be read: `
	b, source := newForeseeing(t)
	export := func(name string, fields schemas.Fields, second string) schemas.Export {
		return schemas.Export{Name: name, Connection: "sandbox", Email: "Mail", Fields: fields,
			Segments: []schemas.Segment{{Name: "A", Source: source}, {Name: "B", Source: second}}}
	}
	missing := filepath.Join(filepath.Dir(source), "missing.arrow")
	for _, name := range []string{"Damaged", "Both"} {
		if err := b.Root.Write(t.Context(), dataroot.PastRunsKey("sandbox", name), []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	check := func(e schemas.Export, newFields []string, texts ...string) {
		t.Helper()
		f := b.Foresee(t.Context(), []schemas.Export{e})[0]
		rest := f.Unknown
		for _, text := range texts {
			if !strings.Contains(rest, text) {
				t.Errorf("export %q: %q, want %q", e.Name, f.Unknown, text)
			}
			rest = strings.Replace(rest, text, "", 1)
		}
		if strings.Contains(rest, "known") || !slices.Equal(f.NewFields, newFields) {
			t.Errorf("export %q: %+v, want fields %v and only %q", e.Name, f, newFields, texts)
		}
	}
	all := schemas.Fields{All: true}
	check(export("Damaged", schemas.Fields{}, source), nil, sent)
	check(export("Damaged", all, source), []string{"Value"}, sent)
	check(export("Unread", all, missing), []string{"Value"}, both)
	check(export("Both", all, missing), []string{"Value"}, both, sent)

	b, source = newForeseeing(t)
	b.sandbox.Revoke(sandbox.DefaultKey, true)
	check(export("Refused", all, source), nil, created)
}

// newForeseeing returns a bench whose connection allows a segment with the column Value, and the
// segment's file.
func newForeseeing(t *testing.T) (b *bench, source string) {
	t.Helper()
	b = newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	source = filepath.Join(t.TempDir(), "people.arrow")
	writePeople(t, source, map[string]float64{"ann@example.com": 1})
	connections := b.Connections.(oneConnection)
	connections.c.AllowedSources = []string{filepath.Dir(source)}
	b.Activities.Connections, b.Clients.Connections = connections, connections
	return b, source
}

// A run records which project its connection leads to, also if it creates the first list
// there. Another key of the project leads to the same.
func TestConnectionsToOneProjectAreRecorded(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	connections := twoConnections{b.Connections.(oneConnection)}
	b.Activities.Connections, b.Clients.Connections = connections, connections
	b.Senders = limits.NewShare(b.Root, limits.NewRegistry(), b.Log)
	record := func(connection string) (r struct{ Project string }) {
		if _, err := b.Root.ReadJSON(t.Context(), dataroot.ProjectKey(connection), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, connection := range []string{"sandbox", "owners"} {
		in := wanted
		in.Connection, in.Host, in.Name = connection, strings.TrimPrefix(connections.c.BaseURL, "http://"), "High-value of "+connection
		in.Run.Connection, in.Run.Segment = connection, in.Name
		if _, err := b.ensure(in); err != nil {
			t.Fatal(err)
		}
	}
	if one, other := record("sandbox"), record("owners"); one.Project == "" || one != other {
		t.Errorf("%q and %q", one, other)
	}
}
