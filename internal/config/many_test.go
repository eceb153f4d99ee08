package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// TestAHostileFileIsCheckedSoon: a contributor sends files to the gateway, of up to a megabyte.
// Comparing each of their segments with each other takes seconds, not hours.
func TestAHostileFileIsCheckedSoon(t *testing.T) {
	half := schemas.Split{Groups: map[string]string{"a": "50%", "b": "50%"}}
	split := func(n int) schemas.Segment {
		return schemas.Segment{Name: fmt.Sprint("s", n), Source: "x", Split: &half}
	}
	plain := func(n int) schemas.Segment { return schemas.Segment{Name: fmt.Sprint("s", n), Source: "x"} }
	for name, c := range map[string]struct {
		exports, segments int
		of                func(n int) schemas.Segment
		problem           string
	}{
		"one export":  {1, 16_000, plain, "the segments have 16000 lists together, and an export may have 250"},
		"one, split":  {1, 6_000, split, "the segments have 12000 lists together, and an export may have 250"},
		"many, split": {50, 120, split, ""},
		"many":        {60, 250, plain, ""},
	} {
		var file schemas.Exports
		for i := range c.exports {
			e := schemas.Export{Name: fmt.Sprint("e", i), Connection: "c", Email: "email"}
			for j := range c.segments {
				e.Segments = append(e.Segments, c.of(i*c.segments+j))
			}
			file.Exports = append(file.Exports, e)
		}
		ended := make(chan error, 1)
		go func() { ended <- CheckExports(&file) }()
		select {
		case err := <-ended:
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %.500v", name, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: the check goes on and on", name)
		}
	}
}

// TestSettingsThatAreInNoFile: a definition from the network can't be a trial that names another one's
// people, nor the part of a divided segment.
func TestSettingsThatAreInNoFile(t *testing.T) {
	for name, s := range map[string]schemas.Segment{
		"a trial": {Name: "s", Source: "x", Trial: &schemas.Trial{People: "../../x", Limit: 5}},
		"a part":  {Name: "s", Source: "x", Of: "t"},
	} {
		err := CheckExports(&schemas.Exports{Exports: []schemas.Export{{Name: "e", Connection: "c", Email: "email", Segments: []schemas.Segment{s}}}})
		if err == nil || !strings.Contains(err.Error(), "is not a setting of this segment") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFewTimes: Temporal compares each moment with all of them, for every schedule that has them.
func TestFewTimes(t *testing.T) {
	for setting, timing := range map[string]schemas.Timing{
		"cron": {Cron: slices.Repeat(schemas.OneOrMore{"0 4 * * *"}, 101)},
		"at":   {Every: "day", At: slices.Repeat(schemas.OneOrMore{"04:00"}, 101)},
	} {
		e := schemas.Export{Name: "e", Connection: "c", Email: "email", Segments: []schemas.Segment{{Name: "s", Source: "x"}}, Schedule: schemas.Schedule{Own: &timing}}
		err := CheckExports(&schemas.Exports{Exports: []schemas.Export{e}})
		if err == nil || !strings.Contains(err.Error(), setting+" has 101 entries; at most 100 are allowed") {
			t.Errorf("%v", err)
		}
	}
}

// TestFewWebhooks: each of them gets a request for each event of a run.
func TestFewWebhooks(t *testing.T) {
	e := schemas.Export{Name: "e", Connection: "c", Email: "email", Segments: []schemas.Segment{{Name: "s", Source: "x"}}}
	for range 21 {
		e.Notify = append(e.Notify, schemas.Notify{URL: schemas.NotifyURL{URL: "https://example.com/"}})
	}
	err := CheckExports(&schemas.Exports{Exports: []schemas.Export{e}})
	if err == nil || !strings.Contains(err.Error(), "notify has 21 entries; at most 20 are allowed") {
		t.Errorf("%v", err)
	}
}
