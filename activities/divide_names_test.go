package activities

import (
	"path"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// TestAttemptsOfOtherRuns: no name of an attempt leads to the rows of another connection.
func TestAttemptsOfOtherRuns(t *testing.T) {
	d := newDividing(t, schemas.Export{}, schemas.Segment{Name: "In {Country}", ForEach: "Country"})
	in, out, err := d.divide(countries(), `{"Mail":"ann@example.com","Country":"NO","N":1,"Tags":null}`, `{"Mail":"bob@example.com","Country":"SE","N":1,"Tags":null}`)
	if err != nil {
		t.Fatal(err)
	}
	d.env.RegisterActivityWithOptions(d.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	d.env.RegisterActivityWithOptions(d.CloseRun, activity.RegisterOptions{Name: schemas.ActivityCloseRun})
	victim := schemas.RunRef{Connection: "finance", Export: "Payroll", RunID: "r1", Segment: in.Segment.Name}
	files, err := d.Root.List(t.Context(), dataroot.StagedDir(in.Run, out.Manifest.Attempt))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := d.Root.Read(t.Context(), f.Name)
		if err == nil {
			err = d.Root.Write(t.Context(), path.Join(dataroot.StagedDir(victim, out.Manifest.Attempt), path.Base(f.Name)), data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Root.Write(t.Context(), path.Join(dataroot.StagedDir(victim, out.Manifest.Attempt), dataroot.RowsFile), []byte("rows")); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", strings.Count(dataroot.StagingDir(in.Run), "/")+1)
	for _, attempt := range []string{up + dataroot.StagedDir(victim, out.Manifest.Attempt), "..", "../x", strings.Repeat("z", 32)} {
		run := in.Run
		run.Segment = "In NO"
		report := schemas.ExportReport{Manifest: schemas.Manifest{Attempt: attempt}}
		for name, input := range map[string]any{
			schemas.ActivityStageSegment: schemas.StageInput{
				Run: run, Export: in.Export, Segment: in.Segment.Part("In NO"), Connection: in.Connection, Info: in.Info, ListID: 7, Divided: attempt,
			},
			schemas.ActivityCloseDivided:   schemas.CloseDividedInput{Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Report: report},
			schemas.ActivityCommitSnapshot: schemas.CommitInput{Run: run, Export: in.Export, Segment: in.Segment.Part("In NO"), Connection: in.Connection, Report: report},
			schemas.ActivityCloseRun:       schemas.CloseInput{Run: run, Export: in.Export, Segment: in.Segment.Part("In NO"), Connection: in.Connection, Report: report},
		} {
			if _, err := d.env.ExecuteActivity(name, input); err == nil || !strings.Contains(err.Error(), "invalid") {
				t.Errorf("%s of attempt %.30s: %v", name, attempt, err)
			}
		}
	}
	if kept, err := d.Root.List(t.Context(), dataroot.ReportDir(in.Run)); err != nil || len(kept) > 0 {
		t.Errorf("beside the report: %v, %v", kept, err)
	}
}
