package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// answeredDir holds what Iterable has answered for, beside the staged files: a file for
// each attempt at a chunk, which is there before the first request and holds an answered.
// Whoever makes up the accounts of a run goes by it, however the run ended: what it does
// not name was perhaps done and perhaps not.
const answeredDir = "answered"

// answered is how far an attempt at a chunk has come.
type answered struct {
	Kind     string                 `json:"kind"`
	First    int                    `json:"first"`
	End      int                    `json:"end"`
	Progress schemas.UploadProgress `json:"progress"`
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

// further reports whether the chunk has come further in p than in o.
func further(p, o schemas.UploadProgress) bool { return p.Next+len(p.Done) > o.Next+len(o.Done) }

// writeAnswered notes how far a chunk has come.
func (a *Activities) writeAnswered(ctx context.Context, in schemas.UploadInput, attempt string, p schemas.UploadProgress) error {
	data, err := json.Marshal(answered{Kind: in.Kind, First: in.First, End: in.End, Progress: p})
	if err == nil {
		name := fmt.Sprintf("%s-%09d-%s.json", in.Kind, in.First, attempt)
		err = a.Root.Write(ctx, path.Join(schemas.StagedDir(in.Run, in.Attempt), answeredDir, name), data)
	}
	if err != nil {
		return fmt.Errorf("note what Iterable has answered: %w", err)
	}
	return nil
}

// answers are the chunks of one kind that were begun, by their first batch, each as far
// as any attempt has come with it.
type answers map[int]*answered

// readAnswered returns what is noted of the chunks of both kinds.
func (a *Activities) readAnswered(ctx context.Context, run schemas.RunRef, attempt string) (map[string]answers, error) {
	out := map[string]answers{schemas.Subscribe: {}, schemas.Unsubscribe: {}}
	files, err := a.Root.List(ctx, path.Join(schemas.StagedDir(run, attempt), answeredDir))
	if err != nil {
		return nil, fmt.Errorf("look for what Iterable has answered: %w", err)
	}
	for _, f := range files {
		var c answered
		data, err := a.Root.Read(ctx, f.Name)
		if err != nil && !errors.Is(err, storage.ErrDamaged) {
			return nil, fmt.Errorf("read what Iterable has answered: %w", err)
		}
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		kind := out[c.Kind]
		if err != nil || kind == nil {
			return nil, fmt.Errorf("read what Iterable has answered, %s: %w", f.Name, errDamaged)
		}
		if known := kind[c.First]; known == nil || further(c.Progress, known.Progress) {
			kind[c.First] = &c
		}
	}
	return out, nil
}

// chunk returns the chunk of batch k, nil if it was not begun.
func (s answers) chunk(k int) *answered {
	for _, c := range s {
		if k >= c.First && k < c.End {
			return c
		}
	}
	return nil
}

// counts adds up what became of the batches.
func (s answers) counts() (all schemas.UploadCounts) {
	for _, c := range s {
		all.Add(c.Progress.Counts)
	}
	return all
}
