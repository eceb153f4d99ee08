// Package overview collects the state of all exports: what Temporal knows of their schedules
// and of the runs under way, and what the data root keeps of past runs.
//
// Each export has one small file of past runs, which only its own runs write, one after the
// other. The page of all exports is made from these files, so no run of one export can remove
// another one from it.
package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Live is what Temporal knows of exports and runs; see operate.Operator.
type Live interface {
	Applied(ctx context.Context) ([]operate.Applied, error)
	LastLook(ctx context.Context) (schemas.LateRuns, error)
	Recent(ctx context.Context, underWay bool) ([]operate.View, error)
	Failed(ctx context.Context) ([]operate.View, error)
	Look(ctx context.Context, run operate.Run) (operate.View, error)
	Input(ctx context.Context, run operate.Run) (schemas.RunInput, error)
}

// atOnce is how many files are read, or runs asked, at the same time.
const atOnce = 8

// Of returns the state of the exports over the connections that may names, at now.
func Of(ctx context.Context, root *storage.Root, live Live, now time.Time, may func(connection string) bool) (schemas.Overview, error) {
	files, err := readPast(ctx, root)
	if err != nil {
		return schemas.Overview{}, err
	}
	return of(ctx, files, live, now, may)
}

// of is Of with the files of past runs.
func of(ctx context.Context, files map[string]pastFile, live Live, now time.Time, may func(connection string) bool) (schemas.Overview, error) {
	c := collector{live: live, now: now, may: may, found: map[string]*schemas.ExportOverview{}}
	out := schemas.Overview{At: now, Exports: []schemas.ExportOverview{}}
	if err := c.applied(ctx); err != nil {
		return out, err
	}
	c.past(files)
	if err := c.failed(ctx); err != nil {
		return out, err
	}
	if err := c.underWay(ctx); err != nil {
		return out, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.found)) {
		if e := c.found[name]; may(e.Connection) && !schemas.IsTrial(name) {
			out.Exports = append(out.Exports, *e)
		}
	}
	return out, nil
}

// collector collects the parts of an overview.
type collector struct {
	live Live
	now  time.Time
	may  func(connection string) bool

	mu    sync.Mutex
	found map[string]*schemas.ExportOverview // by export
}

// applied adds the applied exports and their schedules.
func (c *collector) applied(ctx context.Context) error {
	all, err := c.live.Applied(ctx)
	if err != nil {
		return err
	}
	look, err := c.live.LastLook(ctx)
	if err != nil {
		return fmt.Errorf("find the exports whose runs are late: %w", err)
	}
	for _, a := range all {
		e := &schemas.ExportOverview{Applied: true, Schedule: a.Words, Paused: a.Paused, Next: a.Next, Late: look.Exports[a.Export.Name].Late()}
		e.Export, e.Connection = a.Export.Name, a.Export.Connection
		if a.Timing != nil && len(a.Starts) > 0 {
			e.NextText = operate.Starts(*a.Timing, a.Starts[:1], c.now)[0]
		}
		c.found[e.Export] = e
	}
	return nil
}

// past adds the past runs. An export that was moved has those over its connection of today.
func (c *collector) past(files map[string]pastFile) {
	applied := map[string]string{} // by the key of its past runs
	for name, e := range c.found {
		applied[schemas.PastRunsKey(e.Connection, name)] = name
	}
	for key, f := range files {
		c.addPast(cmp.Or(applied[key], f.Export, key), f)
	}
}

// addPast adds the past runs of one export, or the problem of reading them.
func (c *collector) addPast(name string, p pastFile) {
	e, known := c.found[name]
	if !known {
		e = &schemas.ExportOverview{}
		e.Export, e.Connection = name, p.Connection
		c.found[name] = e
	}
	last, before := p.Last(), e.Last()
	switch {
	case p.problem != "":
		e.Problem = p.problem
	case e.Applied && e.Connection != p.Connection, last == nil:
	case before == nil || before.FinishedAt.Before(last.FinishedAt):
		e.PastRuns, e.State, e.RunID, e.StartedAt = p.PastRuns, last.State, last.RunID, last.StartedAt
	}
}

// failed adds how the last run ended of an export whose last run has no report: it was refused
// before it had begun, or was terminated.
func (c *collector) failed(ctx context.Context) error {
	runs, err := c.live.Failed(ctx)
	if err != nil {
		return err
	}
	newest := map[string]operate.View{}
	for _, v := range runs {
		e := c.found[v.Run.Export]
		if e != nil && v.StartedAt.After(e.StartedAt) && v.StartedAt.After(newest[v.Run.Export].StartedAt) {
			newest[v.Run.Export] = v
		}
	}
	return c.ask(ctx, slices.Collect(maps.Values(newest)), func(e *schemas.ExportOverview, v operate.View) {
		e.Error = v.Error
	})
}

// underWay adds the runs under way.
func (c *collector) underWay(ctx context.Context) error {
	runs, err := c.live.Recent(ctx, true)
	if err != nil {
		return err
	}
	var live []operate.View
	for _, v := range runs {
		e := c.found[v.Run.Export]
		switch {
		case e == nil: // the first run of a definition
			in, err := c.live.Input(ctx, v.Run)
			if errors.Is(err, operate.ErrNoRun) {
				continue // it has ended meanwhile
			}
			if err != nil {
				return err
			}
			e = &schemas.ExportOverview{}
			e.Export, e.Connection = v.Run.Export, in.Export.Connection
			c.found[e.Export] = e
		case e.RunID == v.Run.RunID: // its report is written, so it has ended
			continue
		}
		live = append(live, v)
	}
	return c.ask(ctx, live, func(e *schemas.ExportOverview, v operate.View) {
		e.Error = ""
		for _, w := range v.Waits() {
			wait := schemas.OverviewWait{Segment: w.Segment, Message: w.Message, Since: w.Since}
			for _, answer := range w.Answers {
				wait.Commands = append(wait.Commands, w.Command("starter", e.Export, answer))
			}
			e.Waits = append(e.Waits, wait)
		}
	})
}

// ask asks runs for their state, adds it to their exports, and calls add with it.
func (c *collector) ask(ctx context.Context, runs []operate.View, add func(*schemas.ExportOverview, operate.View)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, v := range runs {
		if !c.may(c.found[v.Run.Export].Connection) {
			continue
		}
		group.Go(func() error {
			now, err := c.live.Look(ctx, v.Run)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			e := c.found[v.Run.Export]
			if err != nil {
				now = v
				e.Problem = "its run could not be asked for its state, and may wait for a person; is a worker running?"
			}
			e.State, e.RunID, e.StartedAt = now.State, now.Run.RunID, now.StartedAt
			add(e, now)
			return nil
		})
	}
	return group.Wait()
}
