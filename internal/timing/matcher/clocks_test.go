package matcher

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/timing"
	"iterable-segment-export/schemas"
)

// TestWarnings holds the warnings of a year for schedules at night.
func TestWarnings(t *testing.T) {
	for _, c := range []struct{ zone, cron, want string }{
		{"Europe/Oslo", "30 2 * * *", "on Sun 28 Mar 2027 the clocks of Europe/Oslo skip an hour: no run starts at 02:30\n" +
			"on Sun 31 Oct 2027 the clocks of Europe/Oslo repeat an hour: one run starts at 02:30"},
		{"America/New_York", "30 1 * * *", "on Sun 7 Nov 2027 the clocks of America/New_York repeat an hour: two runs start at 01:30, and the second sends only what has changed since the first"},
		{"America/New_York", "*/10 1,2 * * sun", "on Sun 14 Mar 2027 the clocks of America/New_York skip an hour: no run starts at 02:00, 02:10, 02:20 and 3 more\n" +
			"on Sun 7 Nov 2027 the clocks of America/New_York repeat an hour: two runs start at 01:00, 01:10, 01:20 and 3 more, and the second sends only what has changed since the first"},
		{"Europe/Oslo", "30 2 * * mon", ""},
		{"Europe/Oslo", "0 4 * * *", ""},
		{"Europe/Oslo", "30 * * * *", ""},
		{"UTC", "30 2 * * *", ""},
		{"Australia/Lord_Howe", "45 1 * * *", "on Sun 4 Apr 2027 the clocks of Australia/Lord_Howe change by 30 minutes: starts at 01:45 may be left out, come twice, or come at another time"},
	} {
		spec, err := timing.Parse(schemas.Timing{Cron: schemas.OneOrMore{c.cron}, TimeZone: c.zone})
		if err != nil {
			t.Fatal(err)
		}
		m, err := compile(t, c.zone, c.cron)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, change := range spec.ClockChanges(now, now.AddDate(1, 0, 0)) {
			var starts []time.Time
			for at := range m.starts(change.Window()) {
				starts = append(starts, time.Unix(at, 0))
			}
			got = append(got, change.Warning(starts))
		}
		if text := strings.Join(got, "\n"); text != c.want {
			t.Errorf("%s in %s:\n%s\nwant\n%s", c.cron, c.zone, text, c.want)
		}
	}
}

// TestRepeatedTimes counts the starts of a time that the clocks repeat: one to the east of
// Greenwich and in London and Lisbon, two to the west.
func TestRepeatedTimes(t *testing.T) {
	for _, c := range []struct {
		zone, cron string
		want       int
	}{
		{"Europe/Oslo", "30 2 * * *", 1}, {"Europe/London", "30 1 * * *", 1}, {"Europe/Lisbon", "30 1 * * *", 1}, {"Australia/Sydney", "30 2 * * *", 1}, {"Pacific/Auckland", "30 2 * * *", 1},
		{"Atlantic/Azores", "30 0 * * *", 2}, {"America/New_York", "30 1 * * *", 2}, {"America/Los_Angeles", "30 1 * * *", 2}, {"America/Santiago", "30 23 * * *", 2},
	} {
		spec, err := timing.Parse(schemas.Timing{Cron: schemas.OneOrMore{c.cron}, TimeZone: c.zone})
		if err != nil {
			t.Fatal(err)
		}
		m, err := compile(t, c.zone, c.cron)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range spec.ClockChanges(now, now.AddDate(1, 0, 0)) {
			if got := len(m.starts(change.Window())); change.Ahead < 0 && got != c.want {
				t.Errorf("%s: %d starts at %s, want %d", c.zone, got, c.cron, c.want)
			}
		}
	}
}
