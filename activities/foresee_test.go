package activities

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// A plan of several segments and exports asks Iterable for the fields once, and says which
// export sends profiles again because its segment has another column than at the last run, also to
// the lists of a divided segment.
func TestForeseeAsksOnce(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	source := filepath.Join(t.TempDir(), "people.arrow")
	writePeople(t, source, map[string]float64{"ann@example.com": 1})
	c := b.Connections.(oneConnection)
	c.c.AllowedSources = []string{filepath.Dir(source)}
	b.Activities.Connections, b.Clients.Connections = c, c
	all := []schemas.Segment{{Name: "High-value", Source: source}, {Name: "Loyal", Source: source}}
	export := func(name string, fields schemas.Fields) schemas.Export {
		return schemas.Export{Name: name, Connection: "sandbox", Email: "Mail", Fields: fields, Segments: all}
	}
	each := schemas.Export{Name: "Each", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true},
		Segments: []schemas.Segment{{Name: "In {Mail}", Source: source, ForEach: "Mail"}}}
	if err := b.Root.WriteJSON(t.Context(), dataroot.ListsKey(schemas.RunRef{Connection: "sandbox", Export: "Each", Segment: "In {Mail}"}), dividedLists{Lists: []string{"Loyal"}}); err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string][]string{"Same": {"Value"}, "Other": {}, "Each": {}} {
		run := schemas.RunRef{Connection: "sandbox", Export: name, RunID: "r1", Segment: "Loyal"}
		h := ledger.NewHeader(run, export(name, schemas.Fields{All: true}), 7, schemas.ProjectEmail)
		h.Fields = fields
		if err := b.Ledger().Publish(t.Context(), run, snapshot.NewUpdate("", 0), ledger.Opened{}, h); err != nil {
			t.Fatal(err)
		}
	}
	found := b.Foresee(t.Context(), []schemas.Export{
		export("New", schemas.Fields{All: true}), export("Same", schemas.Fields{All: true}),
		export("Other", schemas.Fields{All: true}), export("None", schemas.Fields{}), each,
	})
	for i, want := range []schemas.Foreseen{{NewFields: []string{"Value"}}, {NewFields: []string{"Value"}}, {NewFields: []string{"Value"}, SentAgain: true}, {}, {NewFields: []string{"Value"}, SentAgain: true}} {
		if f := found[i]; !slices.Equal(f.NewFields, want.NewFields) || f.SentAgain != want.SentAgain || f.Unknown != "" {
			t.Errorf("export %d: %+v, want %+v", i, f, want)
		}
	}
	if n := b.sandbox.Stats(false).Endpoints["users/getFields"].Requests; n != 1 {
		t.Errorf("%d requests for the fields", n)
	}
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
