package schemas

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestScheduleJSON(t *testing.T) {
	for text, want := range map[string]Schedule{
		`"refresh"`:            {},
		`"off"`:                {Off: true},
		`{"cron":"0 4 * * *"}`: {Own: &Timing{Cron: OneOrMore{"0 4 * * *"}}},
		`{"cron":"@daily","timeZone":"Europe/Oslo","jitter":"10m0s","catchUp":"2h0m0s"}`: {Own: &Timing{
			Cron: OneOrMore{"@daily"}, TimeZone: "Europe/Oslo", Jitter: Duration(10 * time.Minute), CatchUp: Duration(2 * time.Hour),
		}},
		`{"cron":["0 4 1 * *","0 4 * * 1"]}`: {Own: &Timing{Cron: OneOrMore{"0 4 1 * *", "0 4 * * 1"}}},
		`{"every":"day","at":"04:00","on":["mon","thu"],"dates":[1]}`: {Own: &Timing{
			Every: "day", At: OneOrMore{"04:00"}, On: OneOrMore{"mon", "thu"}, Dates: []int{1},
		}},
	} {
		var got Schedule
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%s came back as %s, %v", text, back, err)
		}
	}
	for _, text := range []string{`"daily"`, `1`, `[]`, `{"cron":1}`} {
		var got Schedule
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was taken as %+v", text, got)
		}
	}
}

func TestGuardrailsDefaults(t *testing.T) {
	zero := 0.0
	var left Guardrails
	set := Guardrails{MaxRemovedShare: &zero, MaxRejectedShare: &zero, MaxGrowth: 3, MaxShrink: 4}
	if got := [4]float64{left.RemovedShare(), left.RejectedShare(), left.Growth(), left.Shrink()}; got != [4]float64{0.30, 0.20, 10, 2} {
		t.Errorf("defaults %v", got)
	}
	if got := [4]float64{set.RemovedShare(), set.RejectedShare(), set.Growth(), set.Shrink()}; got != [4]float64{0, 0, 3, 4} {
		t.Errorf("settings %v", got)
	}
}

// TestExportsWithoutATiming: nothing but a person or a program starts them.
func TestExportsWithoutATiming(t *testing.T) {
	refresh := &Timing{Every: "6h"}
	for name, c := range map[string]struct {
		file   Exports
		export Export
		active bool
	}{
		"by the file's refresh":         {Exports{Refresh: refresh}, Export{}, true},
		"in a file without refresh":     {Exports{}, Export{}, false},
		"off":                           {Exports{Refresh: refresh}, Export{Schedule: Schedule{Off: true}}, false},
		"of its own, without refresh":   {Exports{}, Export{Schedule: Schedule{Own: refresh}}, true},
		"after another (the refresh's)": {Exports{Refresh: refresh}, Export{After: []string{"A"}}, false},
	} {
		if timing, active := c.file.Timing(c.export); active != c.active || active && !reflect.DeepEqual(timing, *refresh) {
			t.Errorf("%s: %+v, %v", name, timing, active)
		}
	}
}
