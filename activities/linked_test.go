package activities

import (
	"path/filepath"
	"testing"

	"iterable-segment-export/schemas"
)

// TestSuppressedByAnIdentifierThatTheRowLacks: another row, or the last run, has it.
func TestSuppressedByAnIdentifierThatTheRowLacks(t *testing.T) {
	ann, bob := identity{"ann@example.com", "u1"}, identity{"bob@example.com", "u2"}
	byAddress, byID := []identity{{ann.email, ""}}, []identity{{"", ann.userID}}
	type counts struct{ suppressed, removals, suppressedRemovals, adds, updates, unchanged, duplicates, rejected int64 }
	for name, c := range map[string]struct {
		project             string
		list, members, rows []identity
		want                counts
	}{
		"the address is missing": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the address is missing, in a hybrid project": {
			schemas.ProjectHybrid, byAddress, []identity{ann, bob}, []identity{{"", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the address is invalid": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"ann@", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the invalid address is on the list": {
			schemas.ProjectUserID, []identity{{"ann@x", ""}, {"eve@example.com", ""}}, []identity{{"", "u1"}, bob}, []identity{{" Ann@x", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"a later row has the address": {
			schemas.ProjectUserID, byAddress, nil, []identity{{"", "u1"}, ann, bob},
			counts{suppressed: 2, adds: 1},
		},
		"an earlier row has the address": {
			schemas.ProjectUserID, byAddress, nil, []identity{ann, {"", "u1"}, {"else@example.com", "u1"}, bob},
			counts{suppressed: 3, adds: 1},
		},
		"the user ID is new": {
			schemas.ProjectEmail, byID, []identity{{ann.email, ""}, bob}, []identity{ann, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the user ID is new, in a hybrid project": {
			schemas.ProjectHybrid, byID, []identity{{ann.email, ""}, bob}, []identity{ann, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the user ID is missing, in a hybrid project": {
			schemas.ProjectHybrid, byID, []identity{ann, bob}, []identity{{ann.email, ""}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"a later row has the user ID, in a hybrid project": {
			schemas.ProjectHybrid, byID, nil, []identity{{ann.email, ""}, ann, bob},
			counts{suppressed: 2, adds: 1},
		},
		"the address is another one now": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"new@example.com", "u1"}, bob},
			counts{updates: 1, unchanged: 1},
		},
		"the user ID is another person's": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{ann.email, "u3"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"nothing is listed": {
			schemas.ProjectHybrid, []identity{{"eve@example.com", ""}}, []identity{ann, bob}, []identity{{ann.email, ""}, {"", "u2"}},
			counts{adds: 1, updates: 1},
		},
	} {
		for _, mode := range []string{schemas.ModeMirror, schemas.ModeAppend} {
			t.Run(name+", "+mode, func(t *testing.T) {
				_, m, err := stageBoth(t, mode, c.project, c.members, nil, c.rows, c.list)
				if err != nil {
					t.Fatal(err)
				}
				got := counts{m.Suppressed, m.Removals, m.SuppressedRemovals, m.Adds, m.Updates, m.Unchanged, m.Duplicates, m.Rejected[schemas.ReasonSyntax]}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			})
		}
	}
}

// stageBoth stages rows that have both identifiers mapped, with one suppression list of both.
func stageBoth(t *testing.T, mode, project string, members, unconfirmed, rows, list []identity) (*bench, schemas.Manifest, error) {
	t.Helper()
	return stageAfter(t, mode, project, members, unconfirmed, rows, func(folder string) []schemas.Suppression {
		writeIdentities(t, filepath.Join(folder, "never.arrow"), list)
		return []schemas.Suppression{{Name: "Never", Source: folder, Email: "Mail", UserID: "Id"}}
	})
}

// TestSuppressedMembersThatMayBeOnTheListAreRemoved: an earlier run asked Iterable to add them
// and got no answer. They count beside the members.
func TestSuppressedMembersThatMayBeOnTheListAreRemoved(t *testing.T) {
	ann, bob, eve := identity{"ann@example.com", ""}, identity{"bob@example.com", ""}, identity{"eve@example.com", ""}
	for _, mode := range []string{schemas.ModeMirror, schemas.ModeAppend} {
		for name, rows := range map[string][]identity{"in the segment": {ann, bob}, "not in the segment": {bob}} {
			t.Run(mode+", "+name, func(t *testing.T) {
				_, m, err := stageBoth(t, mode, schemas.ProjectEmail, []identity{bob}, []identity{ann, eve}, rows, []identity{ann})
				if err != nil {
					t.Fatal(err)
				}
				if m.Removals != 1 || m.SuppressedRemovals != 1 || m.UnconfirmedRemovals != 1 || m.RemoveBatches != 1 ||
					m.Members != 1 || m.UnconfirmedMembers != 2 || m.MembersRemoved() != 0 || m.Adds != 0 || m.Unchanged != 1 {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}
