package console

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/people"
	"iterable-segment-export/schemas"
)

// TestFoundSaysSinceWhenAndWhyNot: and where the records do not have it, that.
func TestFoundSaysSinceWhenAndWhyNot(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 9, 0, 0, 0, time.UTC) }
	list := func(export string) people.FoundList {
		return people.FoundList{Export: export, Segment: "S", ListID: 7, RunID: "last", At: day(9)}
	}
	news, offers, shop := list("News"), list("Offers"), list("Shop")
	news.Since, news.LastSent, news.RecordsFrom = &people.FoundRun{RunID: "first", At: day(1)}, day(3), day(1)
	offers.LastSent, offers.RecordsFrom = day(4), day(2)
	found := people.Found{
		Lists: []people.FoundList{news, offers, shop}, Snapshots: 6, Records: 4, Unexplained: 2,
		NotOn: []people.FoundRow{{Export: "App", Segment: "S", RunID: "r", At: day(5), Outcome: schemas.OutcomeRejected, Reason: schemas.ReasonMissing, Column: "CustomerId"}},
	}
	for history, parts := range map[bool][]string{
		true: {
			"News │S│7│on the list│2026-03-01 09:00:00 UTC│first│2026-03-03 09:00:00 UTC",
			"Offers │S│7│on the list│not known││2026-03-04 09:00:00 UTC",
			"Shop │S│7│on the list│not known││not known",
			`list of segment "S" of export "Offers" is not known: the records that are kept begin with the run that ended at 2026-03-02 09:00:00 UTC`,
			`list of segment "S" of export "Shop" is not known: no record of a run is kept`,
			"App │S│rejected: missing│CustomerId│2026-03-05 09:00:00 UTC",
			"Not on 2 other lists, and no record that is kept says why",
		},
		false: {"News │S│7│on the list│2026-03-09 09:00:00 UTC│last", "add --history"},
	} {
		var out strings.Builder
		Found(&out, found, history)
		text := strings.ReplaceAll(out.String(), " ", "")
		for _, part := range parts {
			if !strings.Contains(text, strings.ReplaceAll(part, " ", "")) {
				t.Errorf("with history %t it lacks %q:\n%s", history, part, out.String())
			}
		}
	}
}

// TestFoundNowhere has no others.
func TestFoundNowhere(t *testing.T) {
	var out strings.Builder
	Found(&out, people.Found{Unexplained: 11}, true)
	if !strings.Contains(out.String(), "Not on 11 lists, and no record") {
		t.Error(out.String())
	}
}
