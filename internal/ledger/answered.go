package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// answeredDir holds Iterable's answers, beside the staged files: one file for each attempt
// at a chunk, written before the first request, with an answered. The account of a run
// relies on it, however the run ended: what it does not name may or may not have been done.
const answeredDir = "answered"

// Answered is how far an attempt at a chunk has come.
type Answered struct {
	Kind     string                 `json:"kind"`
	First    int                    `json:"first"`
	End      int                    `json:"end"`
	Progress schemas.UploadProgress `json:"progress"`
	// Requests are the acknowledged requests, for the record of rows. Those of an attempt
	// that died early may be missing.
	Requests []Request `json:"requests,omitempty"`
}

// Request is the batches of one request, and when Iterable answered it.
type Request struct {
	Batches []int     `json:"batches"`
	At      time.Time `json:"at"`
}

// Acknowledged reports whether Iterable has answered for batch k.
func (c *Answered) Acknowledged(k int) bool {
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

// Further reports whether p has more of the chunk than o.
func Further(p, o schemas.UploadProgress) bool {
	if n, m := p.Next+len(p.Done), o.Next+len(o.Done); n != m {
		return n > m
	}
	return p.All().Acknowledged() > o.All().Acknowledged()
}

// WriteAnswered stores the progress of a chunk.
func (l *Ledger) WriteAnswered(ctx context.Context, in schemas.UploadInput, attempt string, p schemas.UploadProgress, requests ...Request) error {
	data, err := json.Marshal(Answered{Kind: in.Kind, First: in.First, End: in.End, Progress: p, Requests: requests})
	if err == nil {
		name := fmt.Sprintf("%s-%09d-%s.json", in.Kind, in.First, attempt)
		err = l.Root.Write(ctx, path.Join(dataroot.StagedDir(in.Run, in.Attempt), answeredDir, name), data)
	}
	if err != nil {
		return fmt.Errorf("store Iterable's answers: %w", err)
	}
	return nil
}

// Answers are the started chunks of one kind, by their first batch, each with the progress
// of the attempt that came furthest.
type Answers map[int]*Answered

// ReadAnswered returns the stored progress of the chunks of both kinds.
func (l *Ledger) ReadAnswered(ctx context.Context, run schemas.RunRef, attempt string) (map[string]Answers, error) {
	out := map[string]Answers{schemas.Subscribe: {}, schemas.Unsubscribe: {}}
	files, err := l.Root.List(ctx, path.Join(dataroot.StagedDir(run, attempt), answeredDir))
	if err != nil {
		return nil, fmt.Errorf("list Iterable's answers: %w", err)
	}
	for _, f := range files {
		var c Answered
		data, err := l.Root.Read(ctx, f.Name)
		if err != nil && !errors.Is(err, storage.ErrDamaged) {
			return nil, fmt.Errorf("read Iterable's answers: %w", err)
		}
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		kind := out[c.Kind]
		if err != nil || kind == nil {
			return nil, fmt.Errorf("read Iterable's answers, %s: %w", f.Name, ErrDamaged)
		}
		if known := kind[c.First]; known == nil || Further(c.Progress, known.Progress) {
			kind[c.First] = &c
		}
	}
	return out, nil
}

// Chunk returns the chunk of batch k, or nil if it was not started.
func (s Answers) Chunk(k int) *Answered {
	for _, c := range s {
		if k >= c.First && k < c.End {
			return c
		}
	}
	return nil
}

// Counts returns the sum of the answers to a run, as far as they can be read.
func (l *Ledger) Counts(ctx context.Context, run schemas.RunRef, attempt string) (schemas.UploadCounts, error) {
	noted, err := l.ReadAnswered(ctx, run, attempt)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return schemas.UploadCounts{}, err
	}
	all := noted[schemas.Subscribe].counts()
	all.Add(noted[schemas.Unsubscribe].counts())
	return all, nil
}

// counts returns the sum of the chunks' counts.
func (s Answers) counts() (all schemas.UploadCounts) {
	for _, c := range s {
		all.Add(c.Progress.All())
	}
	return all
}
