package overview

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/storage"
)

// Page writes the page of all exports to the data root.
type Page struct {
	live  Live
	asked atomic.Int64
	turn  *semaphore.Weighted // of the call that writes
	// covered is how many calls of Write the last page covers.
	covered int64
}

// NewPage returns a Page of what live knows.
func NewPage(live Live) *Page { return &Page{live: live, turn: semaphore.NewWeighted(1)} }

// Write writes the page with everything that was added before the call. Calls that come while
// another one writes are covered by one more page: runs may end at the same time by the
// hundred. A nil Page writes nothing.
func (p *Page) Write(ctx context.Context, root *storage.Root) error {
	if p == nil {
		return nil
	}
	call := p.asked.Add(1)
	if err := p.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.turn.Release(1)
	if p.covered >= call {
		return nil
	}
	calls := p.asked.Load()
	if err := p.write(ctx, root); err != nil {
		return err
	}
	p.covered = calls
	return nil
}

// mostPages is how often write writes the page, at most.
const mostPages = 3

// write writes the page. Workers may do that at the same time, and the last one wins. So each
// reads the past runs again after it has written, and writes the page again if they have
// changed: then the page has every run that was added before it was written.
func (p *Page) write(ctx context.Context, root *storage.Root) error {
	files, err := readPast(ctx, root)
	for range mostPages {
		if err != nil {
			return err
		}
		all, err := of(ctx, files, p.live, time.Now(), func(string) bool { return true })
		if err != nil {
			return err
		}
		var page bytes.Buffer
		reports, err := findReports(ctx, root, all)
		if err != nil {
			return err
		}
		if err := report.WriteOverview(&page, all, reports); err != nil {
			return err
		}
		if err := root.Write(ctx, dataroot.OverviewKey, page.Bytes()); err != nil {
			return fmt.Errorf("write the overview of all exports: %w", err)
		}
		written := files
		if files, err = readPast(ctx, root); err == nil && reflect.DeepEqual(written, files) {
			return nil
		}
	}
	return err // whoever changed the past runs meanwhile writes the page after that
}

// findReports returns which of the reports of the last runs are in the data root, by their keys:
// the sweep deletes them after their retention.
func findReports(ctx context.Context, root *storage.Root, all report.Overview) (map[string]bool, error) {
	var mu sync.Mutex
	found := map[string]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, e := range all.Exports {
		last := e.Last()
		if last == nil {
			continue
		}
		key := dataroot.RunReport(e.Connection, e.Export, last.RunID)
		group.Go(func() error {
			has, err := root.Has(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			found[key] = has
			return err
		})
	}
	return found, group.Wait()
}
