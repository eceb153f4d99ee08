package main

import (
	"context"
	"fmt"
	"math"

	"iterable-segment-export/schemas"
)

// selections are ways to choose rows, the first one none.
var selections = []struct {
	what   string
	choose func(*schemas.Export)
}{
	{"staging all rows", func(*schemas.Export) {}},
	{"where with 4 comparisons on 2 columns, one of them not mapped; all rows match", func(e *schemas.Export) {
		yes := true
		e.Segments[0].Where = &schemas.Condition{All: []schemas.Condition{
			{Any: []schemas.Condition{{Column: "Points", AtLeast: "-1"}, {Column: "Points", IsNull: &yes}}},
			{Any: []schemas.Condition{{Column: "Country", NotIn: []schemas.Literal{`"XX"`, `"YY"`}}, {Column: "Country", IsNull: &yes}}},
		}}
	}},
	{"where on one column; some rows match", func(e *schemas.Export) {
		e.Segments[0].Where = &schemas.Condition{Column: "Age", LessThan: "30"}
	}},
	{"dedupe by a column that is not mapped", func(e *schemas.Export) {
		e.Dedupe = schemas.Dedupe{By: "LastPurchase", Keep: schemas.KeepNewest}
	}},
}

// selecting measures what it costs to choose rows, against staging all of them: the best of
// three checks each, in turns, so that a busy machine slows all alike.
func (b *bench) selecting(ctx context.Context) error {
	dir, err := b.segment(ctx, b.rows, 1, 1)
	if err != nil {
		return err
	}
	p, err := b.open(unlimited)
	if err != nil {
		return err
	}
	defer p.close()
	seconds, cpus, notes := make([]float64, len(selections)), make([]float64, len(selections)), make([]string, len(selections))
	for round := range 3 {
		for i, s := range selections {
			e := p.export("selecting", dir, eightFields)
			s.choose(&e)
			if err := p.startWorkers(1); err != nil {
				return err
			}
			run, _, err := p.operator.Check(ctx, e, false)
			if err != nil {
				return err
			}
			d, err := p.await(ctx, run)
			if err != nil {
				return err
			}
			cpu, _ := p.stopWorkers()
			if round == 0 {
				seconds[i], cpus[i] = math.Inf(1), math.Inf(1)
			}
			m := d.Segments[0].Report.Manifest
			seconds[i], cpus[i] = min(seconds[i], d.steps[schemas.ActivityStageSegment]), min(cpus[i], cpu)
			notes[i] = fmt.Sprintf("%.2f CPU seconds of the worker in all; %d rows of %d", cpus[i], m.Selected(), m.Read)
		}
	}
	for i, s := range selections {
		f := figure{What: s.what, Measured: seconds[i], Unit: "s", Note: notes[i]}
		if i > 0 {
			f.Floor, f.FloorOf = seconds[0], "staging all rows"
		}
		b.add(f)
	}
	return nil
}
