package overview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// keptMonths is how many months of rejects are kept.
const keptMonths = 2

// errDamaged is the error of past runs with other content than was written.
var errDamaged = errors.New("the past runs are damaged")

// readFile reads past runs, none if there are none. The error is errDamaged, storage.ErrKey or
// one of the storage.
func readFile(ctx context.Context, root *storage.Root, key string) (past report.PastRuns, err error) {
	data, err := root.Read(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return past, nil
	case errors.Is(err, storage.ErrDamaged):
		return past, fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return past, fmt.Errorf("read the past runs: %w", err)
	}
	if err := json.Unmarshal(data, &past); err != nil {
		return report.PastRuns{}, fmt.Errorf("%w: read %s: %w", errDamaged, key, err)
	}
	return past, nil
}

// Add adds a run that ended to the past runs of its export. A run that is there already is
// replaced. Damaged past runs are replaced by this run alone, and the error says so.
func Add(ctx context.Context, root *storage.Root, in schemas.RunReportInput, ended time.Time) error {
	key := dataroot.PastRunsKey(in.Export.Connection, in.Export.Name)
	past, err := readFile(ctx, root, key)
	if err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	past.Connection, past.Export = in.Export.Connection, in.Export.Name
	run := report.PastRun{
		RunID: in.Result.RunID, State: in.State, StartedBy: in.Trigger.Starter(), StartedAt: in.StartedAt, FinishedAt: ended, Lists: []report.PastList{},
	}
	for _, s := range in.Result.Segments {
		if s.Divided != nil {
			for _, kept := range s.Divided.Kept {
				run.Lists = append(run.Lists, report.PastList{Segment: kept, State: schemas.StateKept})
			}
			continue // its lists follow
		}
		l := report.PastList{Segment: s.Segment, ListID: s.ListID, State: s.State, Error: s.Error}
		if s.State == schemas.StateDone {
			l.Size = s.ListSize
		}
		run.Lists = append(run.Lists, l)
	}
	if i := slices.IndexFunc(past.Runs, func(r report.PastRun) bool { return r.RunID == run.RunID }); i >= 0 {
		past.Runs[i] = run
	} else {
		past.Runs = append(past.Runs, run)
		addRejects(&past, in.Result.Segments, report.MonthOf(ended))
	}
	past.Runs = past.Runs[max(0, len(past.Runs)-report.MostPastRuns):]
	if failed := root.WriteJSON(ctx, key, past); failed != nil {
		return fmt.Errorf("write the past runs: %w", failed)
	}
	if err != nil {
		return fmt.Errorf("%w; they begin again with this run", err)
	}
	return nil
}

// addRejects adds the rejected rows of a run to those of the month in which it ended.
func addRejects(past *report.PastRuns, segments []schemas.ExportReport, month string) {
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
	report.PastRuns
	problem string // why it can't be read, empty if it can
}

// readPast reads the past runs of all exports, by their keys.
func readPast(ctx context.Context, root *storage.Root) (map[string]pastFile, error) {
	kept, err := root.List(ctx, dataroot.HistoryDir)
	if err != nil {
		return nil, fmt.Errorf("list the past runs: %w", err)
	}
	var mu sync.Mutex
	files := map[string]pastFile{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, o := range kept {
		group.Go(func() error {
			past, err := readFile(ctx, root, o.Name)
			f := pastFile{PastRuns: past}
			switch {
			case errors.Is(err, storage.ErrKey), errors.Is(err, errDamaged):
				f.problem = "its past runs can't be read: " + err.Error()
			case err != nil:
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
