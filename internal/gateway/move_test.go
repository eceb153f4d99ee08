package gateway

import (
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestAMoveChecksWhoAppliedFollowers: Ann, a contributor, put Follower after Spring. She could
// not do that if Spring was over a connection that is not shared with contributors.
func TestAMoveChecksWhoAppliedFollowers(t *testing.T) {
	f := &fakeTemporal{}
	office, gate := officeWith(t, f)
	spring, follower := scheduleOf(t, gate, "Spring"), scheduleOf(t, gate, "Follower")
	spring.Followers, follower.Export.After = []string{"Follower", "Gone"}, []string{"Spring"}
	f.schedules = map[string]schemas.ScheduledInput{"Spring": spring, "Follower": follower}
	owners, shared := schemas.Connection{Name: "owners"}, schemas.Connection{Name: "shared", Allowed: []string{schemas.AllowContributors}}
	office.Known = func() (ConnectionSource, error) { return projects{"owners": owners, "shared": shared}, nil }
	bob := office.As(schemas.Person{Name: "bob", Role: schemas.RoleAdministrator})

	_, err := bob.Move(t.Context(), "Spring", MoveRequest{Connection: "owners"})
	if want := `export "Follower" is after it and was applied by ann, who may not use connection "owners"`; !access.IsRefused(err, schemas.ErrorNotAllowed) || !strings.Contains(err.Error(), want) {
		t.Errorf("moved to a connection that is not shared: %v", err)
	}
	if _, ok, err := gate.Owner(t.Context(), "Spring"); ok || err != nil {
		t.Errorf("the refused move changed who owns the name, %v", err)
	}
	may := func(what string, to schemas.Connection) {
		t.Helper()
		if err := bob.mayFollow(t.Context(), operate.Applied{ScheduledInput: spring}, to); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	may("to a shared connection", shared)
	renewed := follower
	renewed.Grant = &schemas.Grant{Person: bob.who}
	f.schedules["Follower"] = renewed
	may("after an administrator has applied the follower", owners)
	follower.Export.After = nil
	f.schedules["Follower"] = follower
	may("after the follower was taken out of the order", owners)
}
