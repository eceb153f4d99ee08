package activities

import (
	"fmt"
	"testing"

	"iterable-segment-export/internal/ledger/ledgertest"
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
