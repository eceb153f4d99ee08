package ledger

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// OriginFile is the file that names the run that staged a folder, so that a sweep can ask
// Temporal for the run. It holds an Origin.
const OriginFile = "run.json"

// Origin is what a sweep must know of a run.
type Origin struct {
	Export     string `json:"export"`
	Segment    string `json:"segment"`
	RunID      string `json:"runId"`
	Connection string `json:"connection"`
	// Mapping is the fingerprint of what is staged (schemas.Export.MappingFingerprint).
	Mapping string `json:"mapping"`
	// Fields are the names of the data fields that the mapping makes, sorted.
	Fields []string `json:"fields"`
	// Project is the project's type.
	Project string `json:"project,omitempty"`
}

// Sign writes the origin of the files that are staged next, with these fields.
func (l *Ledger) Sign(ctx context.Context, in schemas.StageInput, fields []string) error {
	run := in.Run
	err := l.Root.WriteJSON(ctx, originKey(run), Origin{
		Export: run.Export, Segment: run.Segment, RunID: run.RunID, Connection: in.Export.Connection,
		Mapping: in.Export.MappingFingerprint(in.Connection.ProjectType), Fields: fields, Project: in.Connection.ProjectType,
	})
	if err != nil {
		return fmt.Errorf("make the staged files: %w", err)
	}
	return nil
}

func originKey(run schemas.RunRef) string { return path.Join(dataroot.StagingDir(run), OriginFile) }

// origin returns the Origin of a run's staged files, empty if there are none.
func (l *Ledger) origin(ctx context.Context, run schemas.RunRef) (o Origin, err error) {
	_, err = l.Root.ReadJSON(ctx, originKey(run), &o)
	return o, err
}

// AbsorbDead adds to the snapshot what a dead run may have sent. underWay reports whether
// another run of the export is in progress: that one will do so, and it returns false.
func (l *Ledger) AbsorbDead(ctx context.Context, run schemas.RunRef, underWay bool) (bool, error) {
	of := func(p Pending) bool { return p.RunID == run.RunID }
	found, err := l.Unfinished(ctx, run)
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(found)), of) {
		return true, nil
	}
	if underWay {
		return false, nil
	}
	return true, l.Absorb(ctx, run, schemas.Export{Name: run.Export, Connection: run.Connection}, 0, of)
}
