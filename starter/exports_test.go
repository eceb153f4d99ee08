package main

import (
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestGrantsInTheTable says which schedules' runs fail or wait, and what to type.
func TestGrantsInTheTable(t *testing.T) {
	var granted operate.Applied
	granted.Grant = &schemas.Grant{Person: schemas.Person{Name: "ann", Role: schemas.RoleContributor}}
	for want, s := range map[string]*access.Standing{
		"":                                       {},
		"not valid, so its runs fail":            {Invalid: "because"},
		"not allowed any more, so its runs wait": {NotAllowed: "because"},
		"by an older secret":                     {OldSecret: true},
	} {
		granted.Standing = s
		got := grantText(granted)
		if !strings.HasPrefix(got, "ann\ncontributor") || !strings.Contains(got, want) || strings.Contains(got, "starter apply") != (want != "") {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	if got := grantText(operate.Applied{}); !strings.Contains(got, "nobody\nnot valid") {
		t.Errorf("without a grant: %q", got)
	}
}
