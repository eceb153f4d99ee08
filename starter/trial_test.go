package main

import (
	"testing"

	"iterable-segment-export/internal/rejects"
)

// TestATriedPersonIsCalledAsTheTrialNamesThem, by the address or the user ID of a row that has both.
func TestATriedPersonIsCalledAsTheTrialNamesThem(t *testing.T) {
	row := &rejects.Row{Email: []byte("ann@example.com"), UserID: []byte("u1")}
	for name, want := range map[string]string{"u1": "u1", "Ann@Example.com": "ann@example.com", "": "ann@example.com", "u2": "ann@example.com"} {
		if got := triedOf(row, byHash([]string{name})).Person; got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
	hashed := &rejects.Row{Person: []byte("bb82030dbc2bcaba32a90bf2e207a84a856fc5f033b77c480836ab6f77f40f19")} // of u1
	if got := triedOf(hashed, byHash([]string{"u1"})).Person; got != "u1" {
		t.Errorf("with hashes u1 is called %q", got)
	}
}
