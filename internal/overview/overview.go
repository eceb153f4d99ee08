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
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Live is what Temporal knows of exports and runs; see operate.Session.
type Live interface {
	Applied(ctx context.Context) ([]operate.Applied, error)
	LastLook(ctx context.Context) (schemas.LateRuns, error)
	Recent(ctx context.Context, underWay bool) ([]operate.View, error)
	Newest(ctx context.Context, export string) (run operate.View, first string, err error)
	Look(ctx context.Context, run operate.Run) (operate.View, error)
	Input(ctx context.Context, run operate.Run) (schemas.RunInput, error)
}

// atOnce is how many files are read, or runs asked, at the same time.
const atOnce = 8

// Of returns the state of the exports over the connections that may names, at now.
func Of(ctx context.Context, root *storage.Root, live Live, now time.Time, may func(connection string) bool) (report.Overview, error) {
	files, err := readPast(ctx, root)
	if err != nil {
		return report.Overview{}, err
	}
	return of(ctx, files, live, now, may)
}

// of is Of with the files of past runs.
func of(ctx context.Context, files map[string]pastFile, live Live, now time.Time, may func(connection string) bool) (report.Overview, error) {
	c := collector{live: live, now: now, may: may, found: map[place]*report.ExportOverview{}}
	out := report.Overview{At: now, Exports: []report.ExportOverview{}}
	if err := c.addApplied(ctx); err != nil {
		return out, err
	}
	c.addPast(files)
	if err := c.addNewest(ctx); err != nil {
		return out, err
	}
	for at, e := range c.found {
		if may(at.connection) && !c.replaced(at) {
			out.Exports = append(out.Exports, *e)
		}
	}
	slices.SortFunc(out.Exports, func(a, b report.ExportOverview) int {
		return cmp.Or(strings.Compare(a.Export, b.Export), strings.Compare(a.Connection, b.Connection))
	})
	return out, nil
}

// place is an export over a connection. Runs of an export that was moved are at two places.
type place struct{ connection, export string }

// collector collects the parts of an overview.
type collector struct {
	live Live
	now  time.Time
	may  func(connection string) bool

	mu    sync.Mutex
	found map[place]*report.ExportOverview
}

// at returns the state at a place.
func (c *collector) at(p place) *report.ExportOverview {
	e, ok := c.found[p]
	if !ok {
		e = &report.ExportOverview{}
		e.Connection, e.Export = p.connection, p.export
		c.found[p] = e
	}
	return e
}

// addApplied adds the applied exports and their schedules.
func (c *collector) addApplied(ctx context.Context) error {
	all, err := c.live.Applied(ctx)
	if err != nil {
		return err
	}
	look, err := c.live.LastLook(ctx)
	if err != nil {
		return fmt.Errorf("find the exports whose runs are late: %w", err)
	}
	for _, a := range all {
		e := c.at(place{a.Export.Connection, a.Export.Name})
		e.Applied, e.Schedule, e.Paused, e.Next, e.Late = true, a.Words, a.Paused, a.Next, look.Exports[a.Export.Name].Late()
		if a.Timing != nil && len(a.Starts) > 0 {
			e.NextText = operate.Starts(*a.Timing, a.Starts[:1], c.now)[0]
		}
	}
	return nil
}

// addPast adds the past runs, or the problem of reading them.
func (c *collector) addPast(files map[string]pastFile) {
	applied := map[string]place{} // by the key of its past runs
	for p := range c.found {
		applied[dataroot.PastRunsKey(p.connection, p.export)] = p
	}
	for key, f := range files {
		p, ok := applied[key]
		if !ok {
			p = place{f.Connection, cmp.Or(f.Export, key)}
		}
		if schemas.IsTrial(p.export) {
			continue
		}
		e := c.at(p)
		if e.Problem = f.problem; f.problem != "" {
			continue
		}
		e.PastRuns = f.PastRuns
		if last := f.Last(); last != nil {
			e.State, e.RunID, e.StartedAt = last.State, last.RunID, last.StartedAt
		}
	}
}

// addNewest adds the newest run of each export, unless it is among the past runs: it is under
// way, was refused before it had begun, was terminated, or could not be added to the past runs.
func (c *collector) addNewest(ctx context.Context) error {
	runs, err := c.live.Recent(ctx, true)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, v := range runs { // also the first run of a definition
		names[v.Run.Export] = !schemas.IsTrial(v.Run.Export)
	}
	for p := range c.found {
		names[p.export] = p.connection != "" // or it is a file that can't be read
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for name, is := range names {
		if is {
			group.Go(func() error { return c.addNewestOf(ctx, name) })
		}
	}
	return group.Wait()
}

// addNewestOf adds the newest run of one export. Which connection it is over is in its input:
// the export may have been moved since.
func (c *collector) addNewestOf(ctx context.Context, export string) error {
	v, first, err := c.live.Newest(ctx, export)
	if errors.Is(err, operate.ErrNoRun) || err == nil && c.isPast(export, first) {
		return nil
	}
	if err != nil {
		return err
	}
	in, err := c.live.Input(ctx, v.Run)
	if errors.Is(err, operate.ErrNoRun) {
		return nil // Temporal has deleted it meanwhile
	}
	if err != nil {
		return err
	}
	p := place{in.Export.Connection, export}
	now, problem := v, ""
	if c.may(p.connection) {
		if now, err = c.live.Look(ctx, v.Run); err != nil {
			now, problem = v, "how its last run ended could not be read"
			if !v.Ended() {
				problem = "its run could not be asked for its state, and may wait for a person; is a worker running?"
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at(p)
	if now.Ended() && !now.StartedAt.After(e.StartedAt) {
		return nil // Temporal was restored from a backup
	}
	e.State, e.RunID, e.StartedAt, e.Error = now.State, now.Run.RunID, now.StartedAt, now.Error
	e.Problem = cmp.Or(e.Problem, problem)
	for _, w := range now.Waits() {
		wait := report.OverviewWait{Segment: w.Segment, Message: w.Message, Since: w.Since}
		for _, answer := range w.Answers {
			wait.Commands = append(wait.Commands, w.Command("starter", export, answer))
		}
		e.Waits = append(e.Waits, wait)
	}
	return nil
}

// isPast reports whether a run is the last one in the past runs of an export.
func (c *collector) isPast(export, run string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, e := range c.found {
		if last := e.Last(); p.export == export && last != nil && last.RunID == run {
			return true
		}
	}
	return false
}

// replaced reports whether an export that was moved is shown at another place: where it is
// applied, or else where its last run was. A run under way is shown where it is.
func (c *collector) replaced(p place) bool {
	e := c.found[p]
	if e.Applied || e.UnderWay() {
		return false
	}
	for other, o := range c.found {
		if other != p && other.export == p.export && (o.Applied || o.UnderWay() || o.StartedAt.After(e.StartedAt)) {
			return true
		}
	}
	return false
}
