package console

import (
	"strings"
	"testing"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// A plan says why the next run of an export sends all profiles again. Only what needs an approval
// names the setting for it.
func TestAPlanSaysWhyProfilesAreSentAgain(t *testing.T) {
	const then = ": the next run sends all profiles again, which can start journeys in Iterable"
	for why, want := range map[string]string{
		"":                          "! the mapped fields change" + then + " (fullRuns)\n",
		schemas.FullRunDue:          "! a full run is due (fullEvery)" + then + "\n",
		"the snapshot \x1b is lost": "! the snapshot",
	} {
		var b strings.Builder
		if n := Plan(&b, []operate.Step{{Verb: operate.VerbChange, Export: "e", SentAgain: true, SentAgainWhy: why}}); n != 1 {
			t.Errorf("%d changes", n)
		}
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "\x1b") {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// TestWhatAPlanDoesNotKnow is printed once, however many exports it is about.
func TestWhatAPlanDoesNotKnow(t *testing.T) {
	step := func(export, why string) operate.Step {
		return operate.Step{Verb: operate.VerbChange, Export: export, Unforeseen: why}
	}
	var b strings.Builder
	same := step("E", "no file")
	same.Verb = operate.VerbUnchanged
	Plan(&b, []operate.Step{step("A", "no data root"), step("B", ""), step("C", "no data root"), step("D", "no file"), same})
	const want = "~ change \"A\"\n~ change \"B\"\n~ change \"C\"\n~ change \"D\"\n    ! no file\n! \"A\", \"C\": no data root\n  1 unchanged\n"
	if b.String() != want {
		t.Errorf("%s, want\n%s", &b, want)
	}
}
