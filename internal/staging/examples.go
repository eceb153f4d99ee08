package staging

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// mostExamples is how many profiles of each kind a check keeps.
const mostExamples = 5

// mostExample is how many bytes of a rejected value an example shows.
const mostExample = 1 << 10

// examples are some of the profiles that a run would change, for a check. A nil one keeps
// none.
type examples struct{ schemas.Examples }

func (e *examples) sent(p *snapshot.Profile, v snapshot.Verdict) {
	if e == nil {
		return
	}
	to := &e.Adds
	if v != snapshot.New {
		to = &e.Updates
	}
	keep(to, schemas.Example{Email: string(p.Email), UserID: string(p.UserID)})
}

func (e *examples) removal(m *snapshot.Member) {
	if e != nil {
		keep(&e.Removals, schemas.Example{Email: string(m.Email), UserID: string(m.UserID)})
	}
}

func (e *examples) reject(r rejects.Reject) {
	if e != nil {
		keep(&e.Rejects, schemas.Example{Value: string(r.Value[:min(len(r.Value), mostExample)]), File: r.File, Row: r.Row, Column: r.Column, Reason: r.Reason})
	}
}

func keep(to *[]schemas.Example, one schemas.Example) {
	if len(*to) < mostExamples {
		*to = append(*to, one)
	}
}

// writeExamples writes a check's examples to its report folder, where the starter reads
// them with its caller's rights.
func (stager *Stager) writeExamples(ctx context.Context, run schemas.RunRef, e *examples) error {
	data, err := json.Marshal(e.Examples)
	if err == nil {
		err = stager.Root.Write(ctx, path.Join(dataroot.ReportDir(run), dataroot.ExamplesFile), data)
	}
	if err != nil {
		return fmt.Errorf("write the examples: %w", err)
	}
	return nil
}
