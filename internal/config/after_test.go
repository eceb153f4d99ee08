package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestAfterSettings(t *testing.T) {
	const file = `refresh: {every: 6h}
exports:
  - {name: Spring, connection: sandbox, email: email, segments: [{name: A, source: a}]}
  - {name: Autumn, connection: sandbox, email: email, segments: [{name: B, source: b}], %s}
`
	for set, problem := range map[string]string{
		"after: Spring": "",
		"after: [Spring, Elsewhere], afterFailure: run": "", // apply knows the others
		"after: Spring, schedule: off":                  `an export with after starts with the refresh of "Spring", and has no schedule`,
		"after: [Spring], schedule: {every: 6h}":        "and has no schedule",
		"after: []":                                     "after",
		"after: [Spring, Spring]":                       "after",
		"after: ''":                                     "after",
		"after: Spring, afterFailure: ask":              "afterFailure can't be",
		"afterFailure: run":                             "afterFailure is for exports with after",
	} {
		all, err := parseExports("exports.yaml", fmt.Appendf(nil, file, set))
		switch {
		case err == nil != (problem == "") || err != nil && !strings.Contains(err.Error(), problem):
			t.Errorf("%s: %v", set, err)
		case err == nil:
			if _, scheduled := all.Timing(all.Exports[1]); scheduled {
				t.Errorf("%s: it has a timing", set)
			}
		}
	}
}
