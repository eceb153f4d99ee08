package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestSeveralRunsHideNothing: starter run --all shows what starter status shows of each run.
func TestSeveralRunsHideNothing(t *testing.T) {
	var views []operate.View
	for _, name := range []string{"Spring", "Autumn"} {
		s := operate.SegmentView{}
		s.Run.Segment, s.State = name, schemas.StateDone
		s.Report.Warnings = []string{"a warning of " + name}
		s.Report.Answers = []schemas.Answered{{Answer: schemas.UpdateApprove, Who: "ann", Message: "a question of " + name}}
		views = append(views, operate.View{Run: operate.Run{Export: name}, State: schemas.StateDone, Segments: []operate.SegmentView{s}})
	}
	views[1].State, views[1].Error = schemas.StateFailed, "an error of Autumn"
	var out strings.Builder
	c := &cobra.Command{}
	c.SetOut(&out)
	if err := (&app{output: "table"}).showRuns(c, views); err != status(exitFailed) {
		t.Errorf("it ends with %v", err)
	}
	for _, want := range []string{
		`"Spring" warning: a warning of Spring`, `"Autumn" warning: a warning of Autumn`, `"Autumn" failed: an error of Autumn`,
		`"Spring" approved by ann at `, `a question of Autumn`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &out)
		}
	}
}
