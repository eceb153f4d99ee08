package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario is one thing to measure; it adds figures to the lab's report.
type scenario struct {
	name    string
	about   string
	slow    bool // takes minutes, since it keeps to Iterable's limits
	measure func(*lab, context.Context) error
}

// scenarios are in the order in which they are run: those that need a quiet machine
// first.
var scenarios = []scenario{
	{name: "address", about: "validating an address", measure: (*lab).address},
	{name: "body", about: "writing a request's body", measure: (*lab).body},
	{name: "limits", about: "finding limits that are not told", measure: (*lab).limits, slow: true},
	{name: "staging", about: "reading, checking, comparing and staging", measure: (*lab).staging},
	{name: "unthrottled", about: "as fast as this machine can, and refreshes", measure: (*lab).unthrottled},
	{name: "peers", about: "Iterable's own client in a loop, without a limit", measure: (*lab).peers},
	{name: "memory", about: "memory of ten times as many rows", measure: (*lab).memory},
	{name: "refresh", about: "refreshes at Iterable's limits", measure: (*lab).refresh},
	{name: "large", about: "a million addresses, limits learned", slow: true, measure: (*lab).large},
	{name: "first", about: "a first export at Iterable's limits", slow: true, measure: (*lab).first},
	{name: "workers", about: "five workers, five exports", slow: true, measure: (*lab).fleet},
	{name: "others", about: "other users of the project", slow: true, measure: (*lab).shared},
	{name: "peers-throttled", about: "Iterable's own client at Iterable's limits", slow: true, measure: (*lab).peersThrottled},
}

// Scenarios lists what Options.Only may name.
func Scenarios() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// Run measures, and keeps the report in Options.Out. What was measured before an
// error is in the report too.
func Run(ctx context.Context, o Options) (Report, error) {
	for _, name := range o.Only {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return Report{}, fmt.Errorf("there is no scenario %q; choose of %s", name, Scenarios())
		}
	}
	l, err := openLab(ctx, o)
	if err != nil {
		return Report{}, err
	}
	defer l.close()
	l.report = Report{At: time.Now().UTC(), Rows: o.Rows, Machine: machine()}
	var failed []error
	for _, s := range scenarios {
		if len(o.Only) > 0 && !slices.Contains(o.Only, s.name) || o.Unthrottled && s.slow {
			continue
		}
		l.say("%s: %s", s.name, s.about)
		if err := s.measure(l, ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			l.say("  %v", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	l.report.Machine.LoadAfter = load()
	return l.report, errors.Join(append(failed, l.report.Write(o.Out))...)
}
