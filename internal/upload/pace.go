package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// paceStretch is the length of a sample's interval.
const paceStretch = 5 * time.Second

// paceLog counts what an upload did in each interval.
type paceLog struct {
	mu      sync.Mutex
	samples map[time.Time]schemas.PaceSample
}

// add adds counts at a time.
func (p *paceLog) add(at time.Time, one schemas.PaceSample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.samples == nil {
		p.samples = map[time.Time]schemas.PaceSample{}
	}
	at = at.UTC().Truncate(paceStretch)
	s := p.samples[at]
	s.At, s.Seconds = at, int(paceStretch/time.Second)
	s.Requests += one.Requests
	s.Throttled += one.Throttled
	s.Failed += one.Failed
	s.Profiles += one.Profiles
	p.samples[at] = s
}

// sorted returns the samples in order of time.
func (p *paceLog) sorted() []schemas.PaceSample {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []schemas.PaceSample
	for _, s := range p.samples {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b schemas.PaceSample) int { return a.At.Compare(b.At) })
	return out
}

// writePace stores the samples of one attempt at a chunk, for the report. The samples of a
// killed worker are lost; the counters do not depend on them.
func writePace(ctx context.Context, l *ledger.Ledger, in schemas.UploadInput, p *paceLog) {
	samples := p.sorted()
	if len(samples) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), paceStretch)
	defer cancel()
	name := fmt.Sprintf("%s-%09d-%d.json", in.Kind, in.First, time.Now().UnixNano())
	if err := l.Root.WriteJSON(ctx, path.Join(dataroot.PaceDir(in.Run), name), samples); err != nil {
		l.Log.Warn("pace of a chunk not stored", "run", in.Run.RunID, "segment", in.Run.Segment, "error", err)
	}
}

// PublishPace merges the samples of all chunks.
func PublishPace(ctx context.Context, root *storage.Root, run schemas.RunRef) error {
	files, err := root.List(ctx, dataroot.PaceDir(run))
	if err != nil {
		return fmt.Errorf("list the pace of the upload: %w", err)
	}
	var all paceLog
	for _, f := range files {
		var samples []schemas.PaceSample
		data, err := root.Read(ctx, f.Name)
		if err != nil {
			return fmt.Errorf("read the pace of the upload: %w", err)
		}
		if json.Unmarshal(data, &samples) != nil {
			continue // only the report needs it
		}
		for _, s := range samples {
			all.add(s.At, s)
		}
	}
	samples := all.sorted()
	if len(samples) == 0 {
		return nil
	}
	if err := root.WriteJSON(ctx, path.Join(dataroot.ReportDir(run), dataroot.PaceFile), samples); err != nil {
		return fmt.Errorf("write the pace of the upload: %w", err)
	}
	return nil
}

// ReadPace returns what PublishPace wrote, or nil.
func ReadPace(ctx context.Context, root *storage.Root, run schemas.RunRef) (samples []schemas.PaceSample) {
	if _, err := root.ReadJSON(ctx, path.Join(dataroot.ReportDir(run), dataroot.PaceFile), &samples); err != nil {
		return nil
	}
	return samples
}
