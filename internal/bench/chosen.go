package main

import (
	"context"
	"fmt"
	"slices"

	"iterable-segment-export/schemas"
)

// chosen measures what it adds to a run that rows are chosen by a condition, that they are looked
// up in a suppression list as long as the segment, and that a record of them is written. Runs
// with all of that and without it take turns, each with a worker of its own.
func (b *bench) chosen(ctx context.Context) error {
	dir, err := b.segment(ctx, b.rows, 1, 1)
	if err != nil {
		return err
	}
	never, err := b.segment(ctx, b.rows, 3, 1)
	if err != nil {
		return err
	}
	var seconds, cpu [2][]float64 // of the runs without, and of those with all
	var projects [2]*project
	for k := range projects {
		if projects[k], err = b.open(unlimited); err != nil {
			return err
		}
		defer projects[k].close()
	}
	if err := projects[1].suppress(never); err != nil {
		return err
	}
	var staging []float64 // without
	for round := range b.rounds + 1 {
		for k, p := range projects {
			e := p.export(fmt.Sprint("chosen ", round), dir, eightFields)
			e.Record = schemas.RecordNone
			if k == 1 {
				e.Record, e.Segments[0].Where = schemas.RecordChanges, manyMatch()
			}
			if err := p.startWorkers(1); err != nil {
				return err
			}
			d, err := p.run(ctx, e)
			if err != nil {
				return err
			}
			used, _ := p.stopWorkers()
			if round == 0 {
				continue // the hashes of the list are kept now
			}
			seconds[k] = append(seconds[k], d.steps[schemas.ActivityStageSegment]+d.steps[schemas.ActivityCommitSnapshot])
			cpu[k] = append(cpu[k], used)
			if k == 0 {
				staging = append(staging, d.steps[schemas.ActivityStageSegment])
			}
		}
	}
	b.add(figure{
		What:     fmt.Sprintf("added by where, a suppression list of %d, and the record", b.rows),
		Measured: median(seconds[1]) - median(seconds[0]), Unit: "s",
		Floor: median(staging), FloorOf: "staging without them",
		Note: fmt.Sprintf("staging and snapshot %.2f s instead of %.2f s; CPU of the worker in all %.2f s instead of %.2f s; medians of %d",
			median(seconds[1]), median(seconds[0]), median(cpu[1]), median(cpu[0]), b.rounds),
	})
	return nil
}

// manyMatch is a condition on a column that is not mapped and on one that is. All rows match.
func manyMatch() *schemas.Condition {
	yes := true
	return &schemas.Condition{All: []schemas.Condition{
		{Any: []schemas.Condition{{Column: "Points", AtLeast: "-1"}, {Column: "Points", IsNull: &yes}}},
		{Any: []schemas.Condition{{Column: "Country", NotIn: []schemas.Literal{`"XX"`, `"YY"`}}, {Column: "Country", IsNull: &yes}}},
	}}
}

// median returns the middle one of some values, of an even number the higher one.
func median(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }
