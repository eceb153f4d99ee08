package operate

import (
	"slices"
	"strings"
	"testing"

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
	want := []string{`change Z; followers >["C"]; relinks`, "create C", "create B", `change A; followers >["B","C"]; relinks`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if up := steps[1].Upstream(); len(up) != 2 || up["A"] != "c" {
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
