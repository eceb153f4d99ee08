package access

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestRefreshesInOrder applies exports that are after others, as people who may use some
// connections, and refreshes them.
func TestRefreshesInOrder(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	export := func(name string, after ...string) schemas.Export {
		g.People(name, 1, 5, 1)
		e := g.Of(name)
		e.Fields, e.After = schemas.Fields{}, after // new fields would be asked about
		return e
	}
	apply := func(s gateway.Service, exports ...schemas.Export) gateway.Plan {
		t.Helper()
		file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: exports}
		plan, err := s.Apply(t.Context(), gateway.PlanRequest{File: file})
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	owners := export("Owners")
	owners.Connection = "owners"
	if plan := apply(admin, owners); plan.Failed > 0 {
		t.Fatalf("%+v", plan)
	}
	plan := apply(contributor, export("Follower", "Owners"))
	if plan.Failed != 2 || !strings.Contains(plan.Steps[0].Error, `it is after "Owners", whose connection "owners" you may not use`) {
		t.Errorf("who may not use a connection follows its export: %+v", plan)
	}
	if _, err := contributor.Export(t.Context(), "Follower"); err == nil {
		t.Error("it was applied")
	}

	exports := []schemas.Export{export("First"), export("Also"), export("Second", "First", "Also"), export("Third", "Second"), export("Anyway", "Second")}
	exports[4].AfterFailure = schemas.AfterRun
	if plan := apply(contributor, exports...); plan.Failed > 0 {
		t.Fatalf("%+v", plan)
	}
	first, err := contributor.Export(t.Context(), "First")
	if err != nil || !slices.Equal(first.Followers, []string{"Second"}) {
		t.Fatalf("%+v, %v", first, err)
	}
	order := refreshed{g}
	order.done(exports)
	order.fails()
	order.removed(contributor, exports)
}

// refreshed is what TestRefreshesInOrder looks at.
type refreshed struct{ world.Guarded }

// refreshes returns the states of the exports in the refreshes that have ended, the newest first.
func (r refreshed) refreshes() (all []map[string]string) {
	r.T.Helper()
	for _, out := range r.Refreshes() {
		states := map[string]string{}
		for _, e := range out.Exports {
			states[e.Export] = e.State
		}
		all = append(all, states)
	}
	return all
}

// done triggers both schedules that start together: one refreshes all, the other nothing.
func (r refreshed) done(exports []schemas.Export) {
	r.T.Helper()
	r.Trigger("Also")
	r.Trigger("First")
	r.Until("both refreshes have ended", func() bool { return len(r.refreshes()) == 2 })
	all := r.refreshes()
	if len(all[0]) > 0 {
		slices.Reverse(all)
	}
	if len(all[0]) != 0 || len(all[1]) != len(exports) {
		r.T.Fatalf("%v", all)
	}
	var ran []operate.View
	for _, e := range exports {
		v, ok := r.Last(e.Name)
		if !ok || all[1][e.Name] != schemas.StateDone {
			r.T.Fatalf("%s: %+v, %v", e.Name, v, all)
		}
		r.Done(v)
		ran = append(ran, v)
	}
	for i, e := range exports {
		for _, upstream := range e.After {
			up := ran[slices.IndexFunc(exports, func(o schemas.Export) bool { return o.Name == upstream })]
			if !ran[i].StartedAt.After(up.FinishedAt) {
				r.T.Errorf("%q started at %v, and %q ended at %v", e.Name, ran[i].StartedAt, upstream, up.FinishedAt)
			}
		}
	}
	if _, ok := r.Last("Owners"); ok {
		r.T.Error("an export ran that is of no refresh")
	}
}

// fails has the first export wait for a person and then fail.
func (r refreshed) fails() {
	r.T.Helper()
	r.People("Second", 1, 0, 1) // all leave
	r.Trigger("Also")
	r.Until("it waits", func() bool { v, ok := r.Last("Second"); return ok && v.State == schemas.StateWaiting })
	r.Until("what runs anyway has run", func() bool {
		views, err := r.Operator.History(r.T.Context(), "Anyway", 5)
		return err == nil && len(views) == 2 && views[0].State == schemas.StateDone
	})
	r.Trigger("Also") // the next refresh skips what waits, and goes on with the others
	r.Until("the next refresh has ended", func() bool { return len(r.refreshes()) == 3 })
	want := map[string]string{"First": schemas.StateDone, "Also": schemas.StateDone, "Second": schemas.StateSkipped, "Third": schemas.StateSkipped, "Anyway": schemas.StateDone}
	if all := r.refreshes(); !maps.Equal(all[0], want) {
		r.T.Errorf("the next refresh: %v", all[0])
	}
	v, _ := r.Last("Second")
	r.Answer(v, schemas.UpdateAbort)
	r.Until("the refresh has ended", func() bool {
		views, err := r.Operator.History(r.T.Context(), "Third", 5)
		return err == nil && views[0].State == schemas.StateSkipped && views[0].Error == `skipped: "Second" was not done: aborted`
	})
}

// removed removes exports: none that others are after.
func (r refreshed) removed(contributor gateway.Service, exports []schemas.Export) {
	r.T.Helper()
	ctx := r.T.Context()
	_, err := contributor.Remove(ctx, "Second", gateway.RemoveRequest{})
	r.Refuses("removing one that others are after", err, schemas.ErrorConflict, `export "Anyway" is after "Second"`)
	slices.Reverse(exports)
	for _, e := range exports {
		if _, err := contributor.Remove(ctx, e.Name, gateway.RemoveRequest{}); err != nil {
			r.T.Fatal(err)
		}
		for _, name := range e.After {
			a, err := contributor.Export(ctx, name)
			if err != nil || slices.Contains(a.Followers, e.Name) {
				r.T.Errorf("%q has %v after it, %v", name, a.Followers, err)
			}
		}
	}
}
