package operate

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// after returns an export that is after others.
func after(name string, upstream ...string) schemas.Export {
	return schemas.Export{Name: name, Connection: "c", Email: "e", After: upstream, Segments: []schemas.Segment{{Name: name, Source: "/s"}}}
}

func applied(exports ...schemas.Export) (all []Applied) {
	for _, e := range exports {
		all = append(all, Applied{ScheduledInput: schemas.ScheduledInput{Export: e, Timing: &schemas.Timing{Every: "6h"}, Grant: &schemas.Grant{MAC: []byte(e.Name)}}})
	}
	return all
}

func TestOrdersThatCannotBe(t *testing.T) {
	own := after("A")
	own.Schedule.Own = &schemas.Timing{Every: "12h"}
	off := after("A")
	off.Schedule.Off = true
	var many []schemas.Export
	many = append(many, after("0a"), after("0b"))
	for i := range 60 { // each layer is after both of the one before
		a, b := string(rune('0'+i)), string(rune('1'+i))
		many = append(many, after(b+"a", a+"a", a+"b"), after(b+"b", a+"a", a+"b"))
	}
	for name, c := range map[string]struct {
		exports []schemas.Export
		want    string // in the error; empty for none
	}{
		"a chain":           {[]schemas.Export{after("A"), after("B", "A"), after("C", "B")}, ""},
		"two roots":         {[]schemas.Export{after("A"), after("B"), after("C", "B", "A")}, ""},
		"many layers":       {many, ""},
		"of an applied one": {[]schemas.Export{after("B", "Applied")}, ""},
		"unknown":           {[]schemas.Export{after("Spring"), after("B", "Sprung")}, `export "B" is after "Sprung", which is neither in the file nor applied; did you mean "Spring"?`},
		"itself":            {[]schemas.Export{after("A", "A")}, `"A" is after "A" (after)`},
		"each other":        {[]schemas.Export{after("A", "C"), after("B", "A"), after("C", "B")}, `"A" is after "C" is after "B" is after "A"`},
		"other times":       {[]schemas.Export{own, after("B"), after("C", "B"), after("D", "A", "C")}, `export "D" is after "A" and "B", which do not start together (every 12 hours from 00:00 UTC; every 6 hours from 00:00 UTC)`},
		"no time":           {[]schemas.Export{off, after("B"), after("C", "A", "B")}, "(off; every 6 hours from 00:00 UTC)"},
	} {
		file := &schemas.Exports{Refresh: &schemas.Timing{Every: "6h"}, Exports: c.exports}
		_, err := Plan(file, applied(after("Applied")), false, false)
		if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlanLinks checks that an export names those after it, and that this alone changes no
// grant.
func TestPlanLinks(t *testing.T) {
	have := applied(after("A"), after("Z"))
	file := &schemas.Exports{Refresh: &schemas.Timing{Every: "6h"}, Exports: []schemas.Export{after("Z"), after("C", "A", "Z"), after("B", "A")}}
	steps, err := Plan(file, have, false, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		line := s.Verb + " " + s.Export
		for _, c := range s.Changes {
			line += "; " + c.Setting + " " + c.Old + ">" + c.New
		}
		if s.Relinks() {
			line += "; relinks"
		}
		got = append(got, line)
	}
	want := []string{"create C", "create B", `change A; followers >["B","C"]; relinks`, `change Z; followers >["C"]; relinks`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if up := steps[0].Upstream(); len(up) != 2 || up["A"] != "c" {
		t.Errorf("upstream %v", up)
	}

	have[0].Followers, have[1].Followers = []string{"B", "C"}, []string{"C"}
	have = append(have, applied(after("B", "A"), after("C", "A", "Z"))...)
	have[2].Timing, have[3].Timing = nil, nil
	if steps, err = Plan(file, have, false, false); err != nil || slices.ContainsFunc(steps, func(s Step) bool { return s.Verb != VerbUnchanged && s.Verb != VerbKeep }) {
		t.Errorf("the same again: %v %+v", err, steps)
	}
	if _, err = Plan(&schemas.Exports{Exports: []schemas.Export{after("C", "A")}}, have, true, false); err == nil {
		t.Error("an export was pruned that another one is after")
	}
	file.Exports = []schemas.Export{after("A"), after("Z"), after("C", "Z")}
	if steps, err = Plan(file, have, false, false); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Export == "A" && (!s.Relinks() || !s.Unfollows()) {
			t.Errorf("C is no longer after A: %+v", s)
		}
	}
	off := after("A")
	off.Schedule.Off = true
	steps, err = Plan(&schemas.Exports{Exports: []schemas.Export{off, after("B", "A")}}, nil, false, false)
	if err != nil || len(steps[0].Unscheduled()) > 0 || len(steps[1].Unscheduled()) != 1 {
		t.Errorf("after one without a schedule: %v %+v", err, steps)
	}
}

// schedules is a Temporal with the schedules of exports.
type schedules struct {
	client.Client
	all map[string]Applied // by the ID
}

type byID struct {
	client.ScheduleClient
	all map[string]Applied
}

type schedule struct {
	client.ScheduleHandle
	a   Applied
	ok  bool
	all map[string]Applied
}

func (s schedules) ScheduleClient() client.ScheduleClient { return byID{all: s.all} }

func (s byID) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	a, ok := s.all[id]
	return schedule{a: a, ok: ok, all: s.all}
}

func (s schedule) Describe(context.Context) (*client.ScheduleDescription, error) {
	if !s.ok {
		return nil, serviceerror.NewNotFound("no such schedule")
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(s.a.ScheduledInput)
	return &client.ScheduleDescription{Schedule: client.Schedule{
		State: &client.ScheduleState{Paused: s.a.Paused}, Action: &client.ScheduleWorkflowAction{Args: []any{payload}},
	}, Info: client.ScheduleInfo{NextActionTimes: s.a.Starts, LastUpdateAt: s.a.Updated}}, err
}

func (s schedule) Update(ctx context.Context, o client.ScheduleUpdateOptions) error {
	d, err := s.Describe(ctx)
	if err != nil {
		return err
	}
	next, err := o.DoUpdate(client.ScheduleUpdateInput{Description: *d})
	if errors.Is(err, temporal.ErrSkipScheduleUpdate) {
		return nil
	}
	if err == nil {
		s.a.ScheduledInput = next.Schedule.Action.(*client.ScheduleWorkflowAction).Args[0].(schemas.ScheduledInput)
		s.a.Paused = next.Schedule.State.Paused
		s.all[schemas.ScheduleID(s.a.Export.Name)] = s.a
	}
	return err
}

func (s schedule) Pause(context.Context, client.SchedulePauseOptions) error {
	s.a.Paused = true
	s.all[schemas.ScheduleID(s.a.Export.Name)] = s.a
	return nil
}

// linked are two applied exports, B after A, and the Session for them.
func linked() (have []Applied, known schedules, o *Session) {
	have = applied(after("A"), after("B", "A"))
	have[0].Followers, have[1].Timing = []string{"B"}, nil
	known = schedules{all: map[string]Applied{}}
	for i := range have {
		have[i].ScheduleID = schemas.ScheduleID(have[i].Export.Name)
		known.all[have[i].ScheduleID] = have[i]
	}
	return have, known, &Session{Client: known}
}

// TestAStepThatIsRefusedKeepsItsLink: B would start by itself, but its step is not done. Whether
// A is relinked or changed, it still starts B.
func TestAStepThatIsRefusedKeepsItsLink(t *testing.T) {
	for name, change := range map[string]func(a *schemas.Export){"relinked": func(*schemas.Export) {}, "changed": func(a *schemas.Export) { a.Email = "mail" }} {
		have, known, o := linked()
		a := after("A")
		change(&a)
		steps, err := Plan(&schemas.Exports{Refresh: have[0].Timing, Exports: []schemas.Export{a, after("B")}}, have, false, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Export == "A" {
				err = o.ApplyStep(t.Context(), s)
			}
		}
		if refused := err != nil && strings.Contains(err.Error(), `export "B" is still after it`); refused != (name == "relinked") {
			t.Errorf("%s: %v", name, err)
		}
		if now := known.all[have[0].ScheduleID]; !slices.Equal(now.Followers, []string{"B"}) || now.Export.Email != a.Email {
			t.Errorf("%s: %+v", name, now)
		}
		for _, s := range steps { // now all of them
			if err := o.ApplyStep(t.Context(), s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if now := known.all[have[0].ScheduleID]; len(now.Followers) > 0 {
			t.Errorf("%s: %+v", name, now)
		}
	}
}

// TestAPauseStopsOneExport: the schedule of an export that others are after goes on while the
// export is paused, and begins their refresh.
func TestAPauseStopsOneExport(t *testing.T) {
	have, known, o := linked()
	paused := func(what string, inTemporal, held bool) {
		t.Helper()
		now := known.all[have[0].ScheduleID]
		a, err := o.describe(t.Context(), have[0].ScheduleID)
		if err != nil || a.Paused != (inTemporal || held) || a.Stopped != inTemporal || now.Held != held {
			t.Errorf("%s: %v, %+v", what, err, a)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(o.Pause(t.Context(), have[0]))
	paused("paused", false, true)
	if plan, err := o.ReadRefresh(t.Context(), schemas.RefreshRequest{Export: "A"}, func(string) {}); err != nil || plan.Leader != "A" || len(plan.Members) != 2 {
		t.Errorf("%+v, %v", plan, err)
	}
	do(o.change(t.Context(), have[0].ScheduledInput))
	paused("applied", false, true)
	unlink := func() error {
		return o.relink(t.Context(), "A", func([]string) ([]string, error) { return nil, nil })
	}
	do(unlink())
	paused("without followers", true, false)
	do(o.relink(t.Context(), "A", func([]string) ([]string, error) { return []string{"B"}, nil }))
	paused("with followers again", false, true)
	do(o.Resume(t.Context(), have[0]))
	paused("resumed", false, false)
	do(unlink())
	do(o.Pause(t.Context(), have[0]))
	paused("paused alone", true, false)
}

// TestRelinkingKeepsTheDefinition: another apply changes A between the plan and its steps.
func TestRelinkingKeepsTheDefinition(t *testing.T) {
	have, known, o := linked()
	steps, err := Plan(&schemas.Exports{Refresh: have[0].Timing, Exports: []schemas.Export{after("A"), after("B", "A"), after("C", "A")}}, have, false, false)
	if err != nil {
		t.Fatal(err)
	}
	newer := have[0]
	newer.Export.Email, newer.Grant, newer.Followers = "mail", &schemas.Grant{MAC: []byte("v2")}, []string{"B", "Newer"}
	known.all[newer.ScheduleID] = newer
	byThen := applied(after("Newer", "A"))[0]
	known.all[schemas.ScheduleID("Newer")] = byThen
	last := steps[len(steps)-1]
	if !last.Relinks() || last.Export != "A" {
		t.Fatalf("%+v", last)
	}
	_ = o.ApplyStep(t.Context(), last)
	now := known.all[newer.ScheduleID]
	if now.Export.Email != "mail" || string(now.Grant.MAC) != "v2" || !slices.Equal(now.Followers, []string{"B", "C", "Newer"}) {
		t.Errorf("%+v", now)
	}
	if err := o.unfollow(t.Context(), after("Newer", "A", "Gone")); err != nil {
		t.Fatal(err)
	}
	if now = known.all[newer.ScheduleID]; !slices.Equal(now.Followers, []string{"B", "C"}) || now.Export.Email != "mail" {
		t.Errorf("%+v", now)
	}
}

// TestPruneKeepsWhatOthersAreAfter: exports go before those that they are after, and one stays
// that another is after by then.
func TestPruneKeepsWhatOthersAreAfter(t *testing.T) {
	have, _, o := linked()
	steps, err := Plan(&schemas.Exports{}, have, true, false)
	if err != nil || len(steps) != 2 || steps[0].Export != "B" || steps[1].Verb != VerbRemove {
		t.Fatalf("%v %+v", err, steps)
	}
	if err := o.ApplyStep(t.Context(), steps[1]); err == nil || !strings.Contains(err.Error(), `export "B" is after "A"`) {
		t.Errorf("removed before B: %v", err)
	}
}

// TestARefreshIsBounded: what the plan of a refresh could not hold is not applied.
func TestARefreshIsBounded(t *testing.T) {
	file := &schemas.Exports{Refresh: &schemas.Timing{Every: "6h"}}
	add := func(root string, n int) {
		file.Exports = append(file.Exports, after(root))
		for i := range n {
			file.Exports = append(file.Exports, after(root+strconv.Itoa(i), root))
		}
	}
	add("A", mostMembers-1)
	add("B", mostMembers-2)
	if _, err := Plan(file, nil, false, false); err != nil {
		t.Errorf("two refreshes: %v", err)
	}
	file.Exports = append(file.Exports, after("Both", "A0", "B0"))
	if _, err := Plan(file, nil, false, false); err == nil || !strings.Contains(err.Error(), `1000 exports would start together with "A"`) {
		t.Errorf("one refresh: %v", err)
	}
}

// TestReadRefresh: a refresh has what is after an export, and what that is after as well.
func TestReadRefresh(t *testing.T) {
	all := applied(after("B"), after("A"), after("C", "A", "B"), after("D", "C"), after("E", "A"), after("Other"))
	for i, followers := range map[int][]string{0: {"C"}, 1: {"C", "E", "Gone", "Other"}, 2: {"D"}} { // Gone was removed, and Other changed
		all[i].Followers = followers
	}
	for i := range 3 {
		all[2+i].Timing = nil
	}
	read := func(in schemas.RefreshRequest, ids ...string) string {
		t.Helper()
		known := schedules{all: map[string]Applied{}}
		for i, a := range all {
			id := a.Export.Name
			if i < len(ids) {
				id = ids[i]
			}
			known.all[schemas.ScheduleID(id)] = a
		}
		plan, err := (&Session{Client: known}).ReadRefresh(t.Context(), in, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		text := plan.Leader + ":"
		for _, m := range plan.Members {
			text += " " + m.Export
		}
		return text
	}
	same := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	same("by either schedule", read(schemas.RefreshRequest{Export: "B"}), "A: A B C D E")
	same("for news", read(schemas.RefreshRequest{Export: "B", Alone: true}), "B: B C D")
	same("without others", read(schemas.RefreshRequest{Export: "Other"}), "Other: Other")
	same("of none that is applied", read(schemas.RefreshRequest{Export: "Gone"}), "Gone:")
	same("of a schedule with another export", read(schemas.RefreshRequest{Export: "Z"}, "Z"), "Z:")
	all[1].Paused = true
	same("while the first one is paused", read(schemas.RefreshRequest{Export: "B"}), "B: A B C D E")
	all[1].Paused, all[1].Held = false, true
	same("while the first one is left out", read(schemas.RefreshRequest{Export: "A"}), "B: A B C D E")
	all[0].Held = true
	same("while both are left out", read(schemas.RefreshRequest{Export: "B"}), "A: A B C D E")
}
