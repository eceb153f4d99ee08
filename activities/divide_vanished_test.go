package activities

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/schemas"
)

// TestAListWithMembersStaysKnown: a workflow that counts no members does not know of those that
// Iterable may not have removed. The snapshot does.
func TestAListWithMembersStaysKnown(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	in, _, err := d.divide(countries(), `{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`, `{"Mail":"bob@example.com","Country":"SE","N":1,"Tags":null}`)
	if err != nil {
		t.Fatal(err)
	}
	list := in.Run
	list.Segment = "In SE"
	ledgertest.Remember(t, d.Ledger(), list, 7, "bob@example.com")
	if _, err := d.env.ExecuteActivity(schemas.ActivityCloseDivided, schemas.CloseDividedInput{
		Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Emptied: []string{"In SE", "In NO"}, Done: true,
	}); err != nil {
		t.Fatal(err)
	}
	if known, err := d.dividedLists(t.Context(), in.Run); err != nil || fmt.Sprint(known.Lists) != "[In SE]" {
		t.Errorf("%v, %v", known.Lists, err)
	}
}

// TestKeptListsLoseSuppressedMembers: a list that stays as it is has a run too where there are
// suppression lists.
func TestKeptListsLoseSuppressedMembers(t *testing.T) {
	row := func(who, country string) string {
		return fmt.Sprintf(`{"Mail":"%s@example.com","Country":%q,"N":1,"Tags":null}`, who, country)
	}
	for name, export := range map[string]schemas.Export{"vanished: keep": {}, "mode: append": {Settings: schemas.Settings{Mode: schemas.ModeAppend}}} {
		d := newDividing(t, export, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
		if export.Mode == "" {
			d.segment.Vanished = schemas.VanishedKeep
		}
		in, _, err := d.divide(countries(), row("ann", "NO"), row("bob", "SE"))
		if err != nil {
			t.Fatal(err)
		}
		list := in.Run
		list.Segment = "In SE"
		ledgertest.Remember(t, d.Ledger(), list, 7, "bob@example.com")
		never := t.TempDir()
		writeIdentities(t, filepath.Join(never, "never.arrow"), []identity{{email: "bob@example.com"}})
		d.never = []schemas.Suppression{{Name: "Never", Source: never, Email: "Mail"}}
		in, out, err := d.divide(countries(), row("ann", "NO"), row("eve", "NO"))
		if err != nil || fmt.Sprint(out.Divided.Lists, out.Divided.Kept) != "[{In NO 2 false false} {In SE 0 false true}] []" {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		list.RunID = in.Run.RunID
		v, err := d.env.ExecuteActivity(schemas.ActivityStageSegment, schemas.StageInput{
			Run: list, Export: in.Export, Segment: in.Segment.Part("In SE"), Connection: in.Connection, Info: in.Info, ListID: 7, Divided: out.Manifest.Attempt,
		})
		var m schemas.Manifest
		if err == nil {
			err = v.Get(&m)
		}
		if err != nil || m.Removals != 1 || m.SuppressedRemovals != 1 || !m.Kept {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// TestGroupsThatASplitNoLongerHas: a group that becomes a holdout is no longer sent to, so its list
// is emptied like that of a value that has vanished.
func TestGroupsThatASplitNoLongerHas(t *testing.T) {
	fields := countries()[:1]
	split := &schemas.Split{Groups: map[string]string{"control": "50%", "A": "50%"}}
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "Spring", Split: split})
	rows := []string{`{"Mail":"ann@example.com"}`, `{"Mail":"bob@example.com"}`, `{"Mail":"eve@example.com"}`}
	if _, _, err := d.divide(fields, rows...); err != nil {
		t.Fatal(err)
	}
	split.Holdout = []string{"control"}
	_, out, err := d.divide(fields, rows...)
	if n := len(out.Divided.Lists); err != nil || n != 2 || !out.Divided.Lists[1].Vanished || out.Divided.Lists[1].List != "Spring/control" {
		t.Errorf("%+v, %v", out.Divided, err)
	}
	if part, ok := (schemas.Export{Segments: []schemas.Segment{d.segment}}).Find("Spring/control"); !ok || part.Of != "Spring" {
		t.Errorf("the run has no segment for it: %+v", part)
	}
	split.Groups, split.Holdout = map[string]string{"a": "50%", "B": "50%"}, nil
	if _, _, err := d.divide(fields, rows...); err == nil || !strings.Contains(err.Error(), `"Spring/a" has other members than list "Spring/A" of earlier runs`) {
		t.Errorf("in another case: %v", err)
	}
}

// TestListsThatStayAreBounded: each search looks at all of them, and the record of them is one file.
func TestListsThatStayAreBounded(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country", Vanished: schemas.VanishedKeep})
	row := `{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`
	in, _, err := d.divide(countries(), row)
	if err != nil {
		t.Fatal(err)
	}
	var known dividedLists
	for i := range staging.MostKnown - 1 {
		known.Lists = append(known.Lists, fmt.Sprintf("In %d", i))
	}
	for _, most := range []bool{false, true} {
		if most {
			known.Lists = append(known.Lists, "In the past")
		}
		if err := d.Root.WriteJSON(t.Context(), dataroot.ListsKey(in.Run), known); err != nil {
			t.Fatal(err)
		}
		if _, out, err := d.divide(countries(), row); (err != nil) != most || !most && out.Divided.MoreKept != staging.MostKnown-21 {
			t.Errorf("with %d old lists: %+v, %v", len(known.Lists), out.Divided, err)
		}
	}
}

// TestNoListForEachPerson: the values of the column would be names of lists.
func TestNoListForEachPerson(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "To {mail}", ForEach: "mail"})
	_, _, err := d.divide(countries(), `{"Mail":"ann","Country":"NO","N":1,"Tags":null}`)
	if err == nil || !strings.Contains(err.Error(), "identifies people") {
		t.Error(err)
	}
}
