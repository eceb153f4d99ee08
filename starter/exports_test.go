package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
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
	if got := grantText(operate.Applied{}); !strings.Contains(got, "not granted\nnot valid") {
		t.Errorf("without a grant: %q", got)
	}
}

// TestTheFileOfExports: what is printed can be applied, and changes nothing.
func TestTheFileOfExports(t *testing.T) {
	refresh := &schemas.Timing{Every: "6h"}
	exports := []schemas.Export{{Name: "First"}, {Name: "Second", After: []string{"First"}}, {Name: "Off"}}
	var applied []operate.Applied
	for i, e := range exports {
		e.Connection, e.Email, e.Segments = "c", "email", []schemas.Segment{{Name: e.Name, Source: "/s"}}
		a := operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: e}}
		if i == 0 {
			a.Timing, a.Followers = refresh, []string{"Second"}
		}
		applied = append(applied, a)
	}
	c := &cobra.Command{}
	var out strings.Builder
	c.SetOut(&out)
	if err := writeExports(c, applied); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exports.yaml")
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.LoadExports(path)
	if err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	steps, err := operate.Plan(file, applied, true, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Export != "Off" && s.Verb != operate.VerbUnchanged || s.Timing() != nil != (s.Export == "First") {
			t.Errorf("%s %s: %+v", s.Verb, s.Export, s.Changes)
		}
	}
}

// TestTheScheduleInTheTable: an export is shown with its schedule, what is late or was skipped,
// and its next starts in its time zone.
func TestTheScheduleInTheTable(t *testing.T) {
	e := operate.Applied{
		ScheduledInput: schemas.ScheduledInput{Timing: &schemas.Timing{Every: "day", At: schemas.OneOrMore{"04:00"}, TimeZone: "Europe/Oslo"}},
		Words:          "every day at 04:00 Europe/Oslo", Late: "overdue: it has not begun", Skipped: 2,
	}
	for day := range 3 {
		e.Starts = append(e.Starts, time.Date(time.Now().Year()+1, 11, 26+day, 3, 0, 0, 0, time.UTC))
	}
	if got, want := scheduleText(e), "every day at 04:00 Europe/Oslo\noverdue: it has not begun\n2 starts skipped"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := nextText(e); strings.Count(got, " 04:00") != 3 {
		t.Errorf("next %q", got)
	}
}

// TestWhatIsKeptIsNotOfTheFile: exports that stay although the file does not have them are not
// among those that a file is about.
func TestWhatIsKeptIsNotOfTheFile(t *testing.T) {
	steps := []operate.Step{{Verb: operate.VerbCreate}, {Verb: operate.VerbUnchanged}, {Verb: operate.VerbKeep}, {Verb: operate.VerbRemove}}
	if n := concerned(steps); n != 3 {
		t.Errorf("%d", n)
	}
}
