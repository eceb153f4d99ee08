package activities

import (
	"slices"
	"sync"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/schemas"
)

// inspected caches the footers that InspectSegment has read for the StageSegment of the
// same run, if it runs on the same worker.
type inspected struct {
	mu   sync.Mutex
	runs []inspectedRun // the latest last
}

type inspectedRun struct {
	run     schemas.RunRef
	segment *segment.Segment
}

// inspectedKept is how many segments are kept; each may hold some 100 MB of footers.
const inspectedKept = 3

func (i *inspected) keep(run schemas.RunRef, s *segment.Segment) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.runs = append(i.runs, inspectedRun{run, s}); len(i.runs) > inspectedKept {
		i.runs = slices.Delete(i.runs, 0, 1)
	}
}

// take removes and returns the segment of a run, or nil.
func (i *inspected) take(run schemas.RunRef) *segment.Segment {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, r := range i.runs {
		if r.run.RunID == run.RunID && r.run.Connection == run.Connection && r.run.Export == run.Export && r.run.Segment == run.Segment {
			i.runs = slices.Delete(i.runs, k, k+1)
			return r.segment
		}
	}
	return nil
}
