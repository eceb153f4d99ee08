package timing

import (
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// TestCron holds expressions that are accepted, and parts of the errors of those that are not.
func TestCron(t *testing.T) {
	for expression, problem := range map[string]string{
		"0 4 * * *":                "",
		" 0 4 * * *  # every day":  "",
		"*/5 1-5/2 1,15 * *":       "",
		"*/5 1-5/2 * * 7":          "",
		"0 4 * JAN-mar mon-friday": "",
		"0 4 29 2 *":               "",
		"5/15 * * * *":             "",
		"@daily":                   "",
		"@every 6h":                "",
		"@every 6h/30m":            "",
		"":                         "cron has 0 fields",
		"0 4 * *":                  "cron has 4 fields",
		"0 4 * * su 2026":          `years can't be set: write "0 4 * * su" to start every Sunday at 04:00`,
		"0 0 4 * * *":              `write "0 0 4 * *" for the former, or "0 4 * * *" for the latter`,
		"0 0 4 * * 2027":           `years can't be set: write "0 0 4 * *" to start on day 4`,
		"0 0 4 ? * MON":            "cron has six fields; it needs five",
		"0 30 4 * * MON-FRI":       `seconds can't be set: write "30 4 * * MON-FRI" to start every Monday to Friday at 04:30`,
		"30 0 4 * * * 2026-2030":   `write "0 4 * * *" to start every day at 04:00`,
		"0 0 4 * * * * *":          "cron has 8 fields",
		"0 4 1 * 1":                `write cron: ["0 4 1 * *", "0 4 * * 1"] for the former, or {every: day, at: ["04:00"], on: [mon], dates: [1]} for the latter`,
		"*/5 4 1 3 1":              "the latter can't be written",
		"0 4 31 2 *":               "cron never starts: February has no day 31",
		"0 4 30,31 2 *":            "cron never starts: February has no day 30 or 31",
		"0 4 31 4,jun,9,11 *":      "cron never starts: April, June, September and November have no day 31",
		"H 4 * * *":                "in Jenkins",
		"H(0-29)/10 4 * * *":       "in Jenkins",
		"0 4 L * *":                "the last day of the month",
		"0 4 L-3 * *":              "the last day of the month",
		"0 4 LW * *":               "the nearest working day",
		"0 4 15W * *":              "the nearest working day",
		"0 4 * * 5L":               "the last such day of the month",
		"0 4 * * 1#2":              "the second Monday",
		"0 4 ? * *":                "any value; write *",
		"60 4 * * *":               "from 0 to 59",
		"0 24 * * *":               "from 0 to 23",
		"0 4 0 * *":                "from 1 to 31",
		"0 4 * ja *":               "from 1 to 12",
		"0 4 * * 8":                "from 0 to 7",
		"0 4 * * fri-mon":          "backwards",
		"1-2-3 4 * * *":            "from 0 to 59",
		"1/2/3 4 * * *":            "step",
		"1/ 4 * * *":               "step",
		"1,,2 4 * * *":             "from 0 to 59",
		"@reboot":                  "cron can't be",
		"@every":                   "needs a duration",
		"@every 30s":               "a minute or more",
		"@every 6h/6h":             "shorter than the interval",
		"@every 6h/-1h":            "shorter than the interval",
		"CRON_TZ=UTC 0 4 * * *":    "timeZone",
		"0123456789abcdef0123456789abcdef 4 * * *": "can't be a long text",
	} {
		_, err := Parse(schemas.Timing{Cron: schemas.OneOrMore{expression}})
		switch {
		case problem == "" && err != nil:
			t.Errorf("%q: %v", expression, err)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
			t.Errorf("%q: %v, want %q", expression, err, problem)
		}
	}
}

// TestPlain holds settings of schedules without cron that are refused.
func TestPlain(t *testing.T) {
	at := schemas.OneOrMore{"04:00"}
	for problem, of := range map[string]schemas.Timing{
		`not "24:00"`:          {Every: "day", At: schemas.OneOrMore{"04:00", "24:00"}},
		"from 1 to 31, not 32": {Every: "day", At: at, Dates: []int{32}},
		`not "1"`:              {Every: "day", At: at, On: schemas.OneOrMore{"1"}},
		`not "mon-fri"`:        {Every: "day", At: at, On: schemas.OneOrMore{"mon-fri"}},
		"write 1h":             {Every: "hour"},
		"dates: [1]":           {Every: "month", At: at},
		"or an interval":       {Every: "sometimes"},
		"a minute or more":     {Every: "10s"},
		`cron: "@every 5h"`:    {Every: "5h"},
		`"48h", which does not divide the day; write an interval that does, such as 4h, 6h or 12h, or cron: "@every 48h"`: {Every: "48h"},
	} {
		if _, err := Parse(of); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%+v: %v, want %q", of, err, problem)
		}
	}
}

// TestTheZoneOfAnInterval checks that only times of the day have the zone, and that the words
// still name the one in which starts are shown.
func TestTheZoneOfAnInterval(t *testing.T) {
	for want, of := range map[string]schemas.Timing{
		"every day at 04:00 Europe/Oslo; and every 6 hours from 00:00 UTC (starts shown in Europe/Oslo)":                                                                                               {Cron: schemas.OneOrMore{"0 4 * * *", "@every 6h"}, TimeZone: "Europe/Oslo"},
		"every 5 hours, counted from 00:00 UTC on 1 January 1970, so at other times each day; and every day at 04:00 Europe/Oslo; and every Monday at 05:00 Europe/Oslo (starts shown in Europe/Oslo)": {Cron: schemas.OneOrMore{"@every 5h", "0 4 * * *", "0 5 * * 1"}, TimeZone: "Europe/Oslo"},
		"every day at 04:00; and every Monday at 05:00 Europe/Oslo":                                                                                                                                    {Cron: schemas.OneOrMore{"0 4 * * *", "0 5 * * 1"}, TimeZone: "Europe/Oslo"},
		"every 6 hours from 00:00 UTC (starts shown in Europe/Oslo)":                                                                                                                                   {Cron: schemas.OneOrMore{"@every 6h"}, TimeZone: "Europe/Oslo"},
		"every hour from 00:00 UTC": {Every: "1h"},
		"every 1 hour and 1 minute, counted from 00:00 UTC on 1 January 1970, so at other times each day (starts shown in UTC)": {Cron: schemas.OneOrMore{"@every 61m"}},
		"every 6 hours from 00:00 UTC": {Every: "6h"},
		"every 48 hours, counted from 00:00 UTC on 1 January 1970 (starts shown in UTC)":                                                        {Cron: schemas.OneOrMore{"@every 48h"}},
		"every 36 hours, counted from 00:00 UTC on 1 January 1970, so not at the same time of the day (starts shown in UTC)":                    {Cron: schemas.OneOrMore{"@every 36h"}},
		"every 48 hours, counted from 00:00:30 UTC on 1 January 1970 (starts shown in UTC)":                                                     {Cron: schemas.OneOrMore{"@every 48h/30s"}},
		"every 5 hours, counted from 01:30 UTC on 1 January 1970, so at other times each day (starts shown in UTC)":                             {Cron: schemas.OneOrMore{"@every 5h/90m"}},
		"every 5 hours, counted from 00:00 UTC on 1 January 1970, so at other times each day (starts shown in UTC)":                             {Cron: schemas.OneOrMore{"@every 5h"}},
		"every day at 04:00 UTC; and every 5 hours, counted from 00:00 UTC on 1 January 1970, so at other times each day (starts shown in UTC)": {Cron: schemas.OneOrMore{"0 4 * * *", "@every 5h"}},
	} {
		s, err := Parse(of)
		if err != nil || s.Words() != want {
			t.Errorf("%+v: %v, %v; want %q", of, s.Words(), err, want)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"*/5 1-5/2 1,15 * 7", "@every 6h/30m", "0 4 * JAN-mar mon-friday", "0 0 4 * * *", "0 4 1 * 1", "0 4 31 2 *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		if s, err := Parse(schemas.Timing{Cron: schemas.OneOrMore{expression}}); err == nil && (s.Words() == "" || len(s.Expressions()) == 0) {
			t.Errorf("%q has no words", expression)
		}
	})
}
