package overview

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// keptMonths is how many months of rejects are kept.
const keptMonths = 2

// Add adds a run that ended to the past runs of its export. A run that is there already is
// replaced.
func Add(ctx context.Context, root *storage.Root, in schemas.RunReportInput, ended time.Time) error {
	key := schemas.PastRunsKey(in.Export.Connection, in.Export.Name)
	var past schemas.PastRuns
	if _, err := root.ReadJSON(ctx, key, &past); err != nil {
		return err
	}
	past.Connection, past.Export = in.Export.Connection, in.Export.Name
	run := schemas.PastRun{
		RunID: in.Result.RunID, State: in.State, StartedBy: in.Trigger.Starter(), StartedAt: in.StartedAt, FinishedAt: ended, Lists: []schemas.PastList{},
	}
	for _, s := range in.Result.Segments {
		if s.Divided != nil {
			continue // its lists follow
		}
		l := schemas.PastList{Segment: s.Segment, ListID: s.ListID, State: s.State, Error: s.Error}
		if s.State == schemas.StateDone {
			l.Size = s.ListSize
		}
		run.Lists = append(run.Lists, l)
	}
	if i := slices.IndexFunc(past.Runs, func(r schemas.PastRun) bool { return r.RunID == run.RunID }); i >= 0 {
		past.Runs[i] = run
	} else {
		past.Runs = append(past.Runs, run)
		addRejects(&past, in.Result.Segments, schemas.MonthOf(ended))
	}
	past.Runs = past.Runs[max(0, len(past.Runs)-schemas.MostPastRuns):]
	if err := root.WriteJSON(ctx, key, past); err != nil {
		return fmt.Errorf("write the past runs: %w", err)
	}
	return nil
}

// addRejects adds the rejected rows of a run to those of the month in which it ended.
func addRejects(past *schemas.PastRuns, segments []schemas.ExportReport, month string) {
	sum := past.Rejected[month]
	for _, s := range segments {
		for reason, n := range s.Rejected {
			if sum == nil {
				sum = map[schemas.Reason]int64{}
			}
			sum[reason] += n
		}
	}
	if sum == nil {
		return
	}
	if past.Rejected == nil {
		past.Rejected = map[string]map[schemas.Reason]int64{}
	}
	past.Rejected[month] = sum
	months := slices.Sorted(maps.Keys(past.Rejected))
	for _, old := range months[:max(0, len(months)-keptMonths)] {
		delete(past.Rejected, old)
	}
}

// pastFile is a file of past runs.
type pastFile struct {
	schemas.PastRuns
	problem string // why it can't be read, empty if it can
}

// readPast reads the past runs of all exports, by their keys.
func readPast(ctx context.Context, root *storage.Root) (map[string]pastFile, error) {
	kept, err := root.List(ctx, schemas.HistoryDir)
	if err != nil {
		return nil, fmt.Errorf("list the past runs: %w", err)
	}
	var mu sync.Mutex
	files := map[string]pastFile{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, o := range kept {
		group.Go(func() error {
			var f pastFile
			found, err := root.ReadJSON(ctx, o.Name, &f.PastRuns)
			switch {
			case errors.Is(err, storage.ErrKey) || errors.Is(err, storage.ErrDamaged):
				f.problem = "its past runs can't be read: " + err.Error()
			case err != nil || !found:
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			files[o.Name] = f
			return nil
		})
	}
	return files, group.Wait()
}
