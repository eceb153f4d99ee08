package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// answeredDir holds Iterable's answers, beside the staged files: one file for each attempt
// at a chunk, written before the first request, with an answered. The account of a run
// relies on it, however the run ended: what it does not name may or may not have been done.
const answeredDir = "answered"

// answered is how far an attempt at a chunk has come.
type answered struct {
	Kind     string                 `json:"kind"`
	First    int                    `json:"first"`
	End      int                    `json:"end"`
	Progress schemas.UploadProgress `json:"progress"`
	// Requests are the acknowledged requests, for the record of rows. Those of an attempt
	// that died early may be missing.
	Requests []answeredRequest `json:"requests,omitempty"`
}

// answeredRequest is the batches of one request, and when Iterable answered it.
type answeredRequest struct {
	Batches []int     `json:"batches"`
	At      time.Time `json:"at"`
}

// acknowledged reports whether Iterable has answered for batch k.
func (c *answered) acknowledged(k int) bool {
	if k < c.Progress.Next {
		return true
	}
	for _, done := range c.Progress.Done {
		if done == k {
			return true
		}
	}
	return false
}

// further reports whether p has more of the chunk than o.
func further(p, o schemas.UploadProgress) bool {
	if n, m := p.Next+len(p.Done), o.Next+len(o.Done); n != m {
		return n > m
	}
	return p.All().Acknowledged() > o.All().Acknowledged()
}

// writeAnswered stores the progress of a chunk.
func (a *Activities) writeAnswered(ctx context.Context, in schemas.UploadInput, attempt string, p schemas.UploadProgress, requests ...answeredRequest) error {
	data, err := json.Marshal(answered{Kind: in.Kind, First: in.First, End: in.End, Progress: p, Requests: requests})
	if err == nil {
		name := fmt.Sprintf("%s-%09d-%s.json", in.Kind, in.First, attempt)
		err = a.Root.Write(ctx, path.Join(schemas.StagedDir(in.Run, in.Attempt), answeredDir, name), data)
	}
	if err != nil {
		return fmt.Errorf("store Iterable's answers: %w", err)
	}
	return nil
}

// answers are the started chunks of one kind, by their first batch, each with the progress
// of the attempt that came furthest.
type answers map[int]*answered

// readAnswered returns the stored progress of the chunks of both kinds.
func (a *Activities) readAnswered(ctx context.Context, run schemas.RunRef, attempt string) (map[string]answers, error) {
	out := map[string]answers{schemas.Subscribe: {}, schemas.Unsubscribe: {}}
	files, err := a.Root.List(ctx, path.Join(schemas.StagedDir(run, attempt), answeredDir))
	if err != nil {
		return nil, fmt.Errorf("list Iterable's answers: %w", err)
	}
	for _, f := range files {
		var c answered
		data, err := a.Root.Read(ctx, f.Name)
		if err != nil && !errors.Is(err, storage.ErrDamaged) {
			return nil, fmt.Errorf("read Iterable's answers: %w", err)
		}
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		kind := out[c.Kind]
		if err != nil || kind == nil {
			return nil, fmt.Errorf("read Iterable's answers, %s: %w", f.Name, errDamaged)
		}
		if known := kind[c.First]; known == nil || further(c.Progress, known.Progress) {
			kind[c.First] = &c
		}
	}
	return out, nil
}

// chunk returns the chunk of batch k, or nil if it was not started.
func (s answers) chunk(k int) *answered {
	for _, c := range s {
		if k >= c.First && k < c.End {
			return c
		}
	}
	return nil
}

// counts returns the sum of the chunks' counts.
func (s answers) counts() (all schemas.UploadCounts) {
	for _, c := range s {
		all.Add(c.Progress.All())
	}
	return all
}
