package operate

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

func planned(t *testing.T, name, segment string) schemas.Export {
	t.Helper()
	return schemas.Export{Name: name, Connection: "c", Email: "e", Segments: []schemas.Segment{{Name: segment, Source: "/s"}}}
}

func TestPlan(t *testing.T) {
	refresh := &schemas.Timing{Cron: schemas.OneOrMore{"0 4 * * *"}, TimeZone: "Europe/Oslo"}
	same, other, gone := planned(t, "same", "S"), planned(t, "other", "O"), planned(t, "gone", "G")
	have := func(e schemas.Export, timing *schemas.Timing) Applied {
		return Applied{ScheduledInput: schemas.ScheduledInput{Export: e, Timing: timing, Grant: &schemas.Grant{Person: schemas.Person{Name: e.Name}}}}
	}
	applied := []Applied{have(same, refresh), have(other, refresh), have(gone, refresh)}
	changed := planned(t, "other", "O")
	changed.Email = "mail"
	changed.Segments[0].Source = "/elsewhere"
	changed.Schedule.Own = &schemas.Timing{Cron: schemas.OneOrMore{"0 5 * * *"}, Jitter: schemas.Duration(time.Minute)}
	file := &schemas.Exports{Refresh: refresh, Exports: []schemas.Export{planned(t, "new", "N"), same, changed}}

	for prune, last := range map[bool]string{false: "keep gone", true: "remove gone"} {
		steps, err := Plan(file, applied, prune, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			line := s.Verb + " " + s.Export
			for _, c := range s.Changes {
				line += "; " + c.Setting + " " + c.Old + ">" + c.New
			}
			got = append(got, line)
		}
		want := []string{
			"create new",
			"unchanged same",
			`change other; email "e">"mail"; segments."O".source "/s">"/elsewhere"; schedule.cron "0 4 * * *">"0 5 * * *"; schedule.timeZone "Europe/Oslo">; ` +
				`schedule.jitter >"1m0s"`,
			last,
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("prune %v:\n%s\nwant\n%s", prune, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if steps, _ := Plan(file, applied, false, true); steps[1].Verb != VerbChange {
		t.Errorf("renew leaves %+v", steps[1])
	}
	for _, s := range []access.Standing{{Invalid: "signed by nobody"}, {OldSecret: true}, {NotAllowed: "not shared"}, {}} {
		applied[0].Standing = &s
		steps, _ := Plan(file, applied, false, false)
		renewed := steps[1].Verb == VerbChange && strings.HasPrefix(steps[1].Changes[0].New, "renewed: ")
		if renewed != (s != access.Standing{}) {
			t.Errorf("a grant of standing %+v: %+v", s, steps[1])
		}
	}
}

func TestPlanRefusesTwoExportsForOneList(t *testing.T) {
	a, b := planned(t, "a", "S"), planned(t, "b", "S")
	applied := []Applied{{ScheduledInput: schemas.ScheduledInput{Export: a}}}
	file := &schemas.Exports{Exports: []schemas.Export{b}}
	if _, err := Plan(file, applied, false, false); err == nil || !strings.Contains(err.Error(), `"b" and "a"`) {
		t.Errorf("%v", err)
	}
	if _, err := Plan(file, applied, true, false); err != nil {
		t.Errorf("a renamed export: %v", err)
	}
	a.Segments[0].ListID, b.Segments[0].ListID = 1, 2
	if err := clash([]schemas.ScheduledInput{{Export: a}, {Export: b}}); err != nil {
		t.Errorf("two lists of one name: %v", err)
	}
}

// TestASchedulesChangesAreSettings: a plan names settings of the file, each once.
func TestASchedulesChangesAreSettings(t *testing.T) {
	four, five := &schemas.Timing{Cron: schemas.OneOrMore{"0 4 * * *"}}, &schemas.Timing{Cron: schemas.OneOrMore{"0 5 * * *"}}
	of := func(own *schemas.Timing, off bool, timing *schemas.Timing) schemas.ScheduledInput {
		e := planned(t, "a", "S")
		e.Schedule.Own, e.Schedule.Off = own, off
		return schemas.ScheduledInput{Export: e, Timing: timing}
	}
	for name, c := range map[string]struct {
		have, want schemas.ScheduledInput
		changes    string
	}{
		"the file's":            {of(nil, false, four), of(nil, false, five), `schedule.cron "0 4 * * *">"0 5 * * *"`},
		"its own":               {of(four, false, four), of(five, false, five), `schedule.cron "0 4 * * *">"0 5 * * *"`},
		"the file's as its own": {of(nil, false, four), of(four, false, four), `schedule.cron >"0 4 * * *"`},
		"off":                   {of(four, false, four), of(nil, true, nil), `schedule.cron "0 4 * * *">, schedule >"off"`},
	} {
		var got []string
		for _, ch := range changes(c.have, c.want) {
			got = append(got, ch.Setting+" "+ch.Old+">"+ch.New)
		}
		if strings.Join(got, ", ") != c.changes {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, ", "), c.changes)
		}
	}
}
