package activities

import (
	"testing"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestNoOtherWayToAListOfAnotherConnection: a contributor who writes the rows of a segment names lists
// with them, and who starts a trial names its list. Neither leads to the list of an export over a
// connection that they may not use, nor do listId and the default name of a trial.
func TestNoOtherWayToAListOfAnotherConnection(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	connections := twoConnections{b.Connections.(oneConnection)}
	connections.c.Allowed = []string{schemas.AllowContributors}
	b.Activities.Connections, b.Clients.Connections = connections, connections
	admin, contributor := schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}, schemas.Person{Name: "bob", Role: schemas.RoleContributor}
	ids := map[string]int64{}
	for _, name := range []string{"High-value", "High-value (trial)"} {
		theirs := schemas.Export{Name: "Payroll " + name, Connection: "owners", Segments: []schemas.Segment{{Name: name}}}
		list, err := b.ensure(schemas.EnsureListInput{Run: b.guardedBy(t, schemas.RunInput{Export: theirs}, admin), Connection: "owners", Name: name, Create: true})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = list.ID
	}
	trial := &schemas.Trial{Limit: 5}
	for what, c := range map[string]struct {
		export  string
		segment schemas.Segment
		list    string
	}{
		"a value of a column":            {"Mine", schemas.Segment{Name: "{level}-value", ForEach: "level"}, "High-value"},
		"a value that is the whole name": {"Mine", schemas.Segment{Name: "{level}", ForEach: "level"}, "High-value"},
		"a trial":                        {"Mine (trial)", schemas.Segment{Name: "High-value", Trial: trial}, "High-value"},
		"the default list of a trial":    {"High-value (trial)", schemas.Segment{Name: "High-value (trial)", Trial: trial}, "High-value (trial)"},
		"its number":                     {"Mine", schemas.Segment{Name: "High-value", ListID: ids["High-value"]}, "High-value"},
	} {
		run := b.guardedBy(t, schemas.RunInput{Export: schemas.Export{Name: c.export, Connection: "sandbox", Segments: []schemas.Segment{c.segment}}}, contributor)
		run.Segment = c.list
		_, err := b.ensure(schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: c.list, ListID: c.segment.ListID, Create: true})
		t.Log(what)
		isOfType(t, err, schemas.ErrorNotAllowed)
	}
}

// TestAListThatIsLeftBehindIsNotTaken: administrators have removed an export and kept its list, with the
// people on it. A contributor whose export has that name, over another connection to the project,
// neither fills the list nor deletes it.
func TestAListThatIsLeftBehindIsNotTaken(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	connections := twoConnections{b.Connections.(oneConnection)}
	connections.c.Allowed = []string{schemas.AllowContributors}
	b.Activities.Connections, b.Clients.Connections = connections, connections
	in := func(connection string, who schemas.Person) schemas.EnsureListInput {
		e := schemas.Export{Name: "Payroll", Connection: connection, Segments: []schemas.Segment{{Name: "High-value"}}}
		return schemas.EnsureListInput{Run: b.guardedBy(t, schemas.RunInput{Export: e}, who), Connection: connection, Name: "High-value", Create: true}
	}
	if _, err := b.ensure(in("owners", schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})); err != nil {
		t.Fatal(err)
	}
	if err := b.disown(t.Context(), "Payroll"); err != nil {
		t.Fatal(err)
	}
	_, err := b.ensure(in("sandbox", schemas.Person{Name: "bob", Role: schemas.RoleContributor}))
	isOfType(t, err, schemas.ErrorNotAllowed)
	out, err := b.deleteLists(t.Context(), schemas.Export{Name: "Payroll", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}})
	if err != nil || len(out) != 1 || out[0].Deleted {
		t.Errorf("%+v, %v", out, err)
	}
	// Those who may use the administrators' connection have it back without a question.
	if got, err := b.ensure(in("owners", schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})); err != nil || !got.Ours {
		t.Errorf("%+v, %v", got, err)
	}
}
