package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"iterable-segment-export/schemas"
)

// paceStretch is how much of an upload one sample sums up.
const paceStretch = 5 * time.Second

// paceLog notes what an upload did in each stretch of time.
type paceLog struct {
	mu      sync.Mutex
	samples map[time.Time]schemas.PaceSample
}

// add adds what happened at a time.
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

// sorted gives the samples in the order of time.
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

// writePace keeps what one try of a chunk noted, for the report. A worker that is
// killed takes what it noted of its chunks with it; the counters do not depend on
// it.
func (a *Activities) writePace(ctx context.Context, in schemas.UploadInput, p *paceLog) {
	samples := p.sorted()
	if len(samples) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), paceStretch)
	defer cancel()
	data, err := json.Marshal(samples)
	if err == nil {
		name := fmt.Sprintf("%s-%09d-%d.json", in.Kind, in.First, time.Now().UnixNano())
		err = a.Root.Write(ctx, path.Join(schemas.PaceDir(in.Run), name), data)
	}
	if err != nil {
		a.Log.Warn("the report will lack the pace of a chunk", "run", in.Run.RunID, "segment", in.Run.Segment, "error", err)
	}
}

// publishPace puts together what every chunk noted.
func (a *Activities) publishPace(ctx context.Context, run schemas.RunRef) error {
	files, err := a.Root.List(ctx, schemas.PaceDir(run))
	if err != nil {
		return fmt.Errorf("look for the pace of the upload: %w", err)
	}
	var all paceLog
	for _, f := range files {
		var samples []schemas.PaceSample
		data, err := a.Root.Read(ctx, f.Name)
		if err != nil {
			return fmt.Errorf("read the pace of the upload: %w", err)
		}
		if json.Unmarshal(data, &samples) != nil {
			continue // the report lacks it; nothing else does
		}
		for _, s := range samples {
			all.add(s.At, s)
		}
	}
	samples := all.sorted()
	if len(samples) == 0 {
		return nil
	}
	data, err := json.Marshal(samples)
	if err == nil {
		err = a.Root.Write(ctx, path.Join(schemas.ReportDir(run), schemas.PaceFile), data)
	}
	if err != nil {
		return fmt.Errorf("write the pace of the upload: %w", err)
	}
	return nil
}

// readPace reads what publishPace wrote; nothing where there is nothing.
func (a *Activities) readPace(ctx context.Context, run schemas.RunRef) (samples []schemas.PaceSample) {
	data, err := a.Root.Read(ctx, path.Join(schemas.ReportDir(run), schemas.PaceFile))
	if err != nil || json.Unmarshal(data, &samples) != nil {
		return nil
	}
	return samples
}
