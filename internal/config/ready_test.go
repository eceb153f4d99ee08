package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

func TestReadySettings(t *testing.T) {
	const file = `exports:
  - name: Spring
    connection: sandbox
    email: email
    ready: {settle: 0s, %s}
    segments: [{name: A, source: a, ready: {waitFor: 30m, %s}}]
`
	for _, c := range []struct{ export, segment, problem string }{
		{"marker: _SUCCESS", "then: skip", ""},
		{"marker: 'done/{date}.*'", "marker: '*_DONE', timeZone: Europe/Oslo", ""},
		{"newerThan: lastRun, maxAge: 36h, leftovers: ask, onChange: restart", "then: run", ""},
		{"marker: /etc/passwd", "then: ask", `marker "/etc/passwd" must be the name of a file in the source's folder`},
		{"marker: a/../../b", "then: ask", "must be the name of a file in the source's folder"},
		{"then: ask", `marker: done/`, "must be the name of a file in the source's folder"},
		{"then: ask", `marker: "*/_SUCCESS"`, "has a wildcard in its folder"},
		{"timeZone: Mars/Olympus", "then: ask", `unknown time zone "Mars/Olympus"`},
		{"newerThan: yesterday", "then: ask", "newerThan"},
		{"then: wait", "then: ask", "then can't be"},
		{"maxAge: a day", "then: ask", "must be a length of time"},
		{"setle: 3m", "then: ask", "settle"},
	} {
		all, err := parseExports("exports.yaml", fmt.Appendf(nil, file, c.export, c.segment))
		switch {
		case c.problem == "" && err != nil, c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s, %s: %v; want %q", c.export, c.segment, err, c.problem)
		case err == nil:
			e := all.Exports[0]
			r := e.ReadyFor(e.Segments[0])
			if r.Settle == nil || *r.Settle != 0 || r.WaitFor != schemas.Duration(30*time.Minute) {
				t.Errorf("%+v", r)
			}
		}
	}
}
