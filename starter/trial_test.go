package main

import (
	"testing"
	"time"

	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

// TestATriedPersonIsCalledAsTheTrialNamesThem, by the address or the user ID of a row that has both.
func TestATriedPersonIsCalledAsTheTrialNamesThem(t *testing.T) {
	row := &rejects.Row{Email: []byte("ann@example.com"), UserID: []byte("u1")}
	for name, want := range map[string]string{"u1": "u1", "Ann@Example.com": "ann@example.com", "": "ann@example.com", "u2": "ann@example.com"} {
		if got := triedOf(row, byHash([]string{name}), 0).Person; got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
	hashed := &rejects.Row{Person: []byte("bb82030dbc2bcaba32a90bf2e207a84a856fc5f033b77c480836ab6f77f40f19")} // of u1
	if got := triedOf(hashed, byHash([]string{"u1"}), 0).Person; got != "u1" {
		t.Errorf("with hashes u1 is called %q", got)
	}
}

// TestATrialShowsFewWhoAreNotSent: --limit asks for profiles that are sent.
func TestATrialShowsFewWhoAreNotSent(t *testing.T) {
	var all []triedRow
	for range 500 {
		all = append(all, triedRow{Outcome: schemas.OutcomeSuppressed})
	}
	all = append(all, triedRow{Person: "ann@example.com", Outcome: schemas.OutcomeAdded, At: time.Now()})
	all = append(all, triedRow{Person: "bob@example.com", Outcome: schemas.OutcomeUnanswered})
	shown := fewOthers(all)
	if len(shown) != mostOthers+2 || shown[mostOthers].Person != "ann@example.com" || shown[mostOthers+1].Person != "bob@example.com" {
		t.Errorf("%d rows are shown", len(shown))
	}
	if few := all[498:]; len(fewOthers(few)) != len(few) {
		t.Errorf("of %d rows %d are shown", len(few), len(fewOthers(few)))
	}
}

// TestAFilteredRowOfATrial is beyond a limit only if there is one.
func TestAFilteredRowOfATrial(t *testing.T) {
	for limit, want := range map[int]string{
		0: "not sent: the segment's condition or split leaves it out",
		3: "not sent: the segment's condition or split leaves it out, or it is after the 3 of --limit",
	} {
		if got := triedOf(&rejects.Row{Outcome: schemas.OutcomeFiltered}, nil, limit).Answer; got != want {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
}
