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
