package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// TestATrialAsksNobody: guardrails don't stop it, data that is not ready is read with a warning,
// and an error that a person would have to answer ends it.
func TestATrialAsksNobody(t *testing.T) {
	in := input
	in.Run.Export, in.Export.Name = schemas.TrialName("Spring"), schemas.TrialName("Spring")
	in.Run.Segment, in.Segment.Name = schemas.TrialName("High-value"), schemas.TrialName("High-value")
	in.Segment.Trial, in.Full = &schemas.Trial{People: "ABC", Limit: 1000}, true

	w := newWorld(t)
	looks := 0
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.InspectInput) (schemas.SegmentInfo, error) {
			if looks++; in.Wanted != nil {
				return schemas.SegmentInfo{Unready: &schemas.Unready{Why: "there is no file _SUCCESS"}}, nil
			}
			return schemas.SegmentInfo{Files: 1, Rows: 10}, nil
		})
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{
		Attempt: "a1", Read: 10, Adds: 1, AddBatches: 1, Rejected: map[schemas.Reason]int64{schemas.ReasonMissing: 9}, LastProfiles: 1000, Members: 1000,
	}, nil)
	w.goesWell(1)
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	r := w.report()
	require.Equal(t, schemas.StateDone, r.State)
	require.Equal(t, 2, looks)
	require.Contains(t, r.Warnings, "a run would wait for its data: there is no file _SUCCESS")
	require.Len(t, w.commits, 1)
	require.Equal(t, in.Segment.Trial, w.commits[0].Segment.Trial)

	w = newWorld(t)
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(schemas.ListRef{}, needsOperator(schemas.ErrorListOwned))
	w.goesWell(1)
	w.ExecuteWorkflow(ExportSegment, in)
	require.ErrorContains(t, w.GetWorkflowError(), "trouble")
	require.Len(t, w.closed, 1)
	require.Equal(t, in.Segment.Trial, w.closed[0].Segment.Trial)
	require.Empty(t, w.uploads)
}

// TestATrialEndsAtADoubtfulSuppressionList: it can't wait for an administrator as a run does. One that
// an earlier version began goes on as it did.
func TestATrialEndsAtADoubtfulSuppressionList(t *testing.T) {
	in := input
	in.Run.Export, in.Export.Name = schemas.TrialName("Spring"), schemas.TrialName("Spring")
	in.Run.Segment, in.Segment.Name = schemas.TrialName("High-value"), schemas.TrialName("High-value")
	in.Segment.Trial, in.Full = &schemas.Trial{Limit: 10}, true
	const shrunk, damaged = `suppression list "Complaints" has 1 entries, less than half of the 10`, `9 of 10 entries of suppression list "Complaints" are not an e-mail address`
	for what, list := range map[string]schemas.SuppressionCount{
		shrunk:  {Name: "Complaints", Entries: 1, Before: 10},
		damaged: {Name: "Complaints", Entries: 10, Before: 10, Unreadable: 9},
	} {
		try := func(version workflow.Version) *world {
			w := newWorld(t)
			w.OnGetVersion("trial-suppression", workflow.DefaultVersion, workflow.Version(1)).Return(version)
			w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{
				Attempt: "a1", Read: 10, Adds: 1, AddBatches: 1, SuppressionLists: []schemas.SuppressionCount{list},
			}, nil)
			w.goesWell(1)
			w.ExecuteWorkflow(ExportSegment, in)
			return w
		}
		w := try(1)
		err := w.GetWorkflowError()
		require.ErrorContains(t, err, what)
		do := `the trial sent nothing: have the list repaired, or run export "Spring" and have an administrator approve it, then try again`
		if what == damaged { // the next trial would end there too
			do = "the trial sent nothing: have the list repaired, then try again"
		}
		require.ErrorContains(t, err, do)
		require.Empty(t, w.uploads)
		require.Len(t, w.closed, 1)
		require.Equal(t, schemas.StateFailed, w.closed[0].Report.State)
		w = try(workflow.DefaultVersion)
		require.NoError(t, w.GetWorkflowError())
		require.Len(t, w.uploads, 1)
	}
}

// TestATrialDeletesItsPeople however it ends: also before its segment begins.
func TestATrialDeletesItsPeople(t *testing.T) {
	e := schemas.Export{Name: schemas.TrialName("Spring"), Connection: "marketing", Email: "email", Segments: []schemas.Segment{
		{Name: "Spring (trial)", Source: "/spring", Trial: &schemas.Trial{People: "ABC", Limit: 1000}},
	}}
	for how, authorize := range map[string]func(w *world) error{
		"refused":   func(*world) error { return needsOperator(schemas.ErrorNameTaken) },
		"cancelled": func(w *world) error { return errors.New("Temporal tries it again") },
	} {
		w := newWorld(t)
		stub[schemas.EndTrialInput, any](w, schemas.ActivityEndTrial)
		w.OnActivity(schemas.ActivityAuthorize, mock.Anything, mock.Anything).Return(
			func(context.Context, schemas.AuthorizeInput) (schemas.AuthorizeResult, error) {
				return schemas.AuthorizeResult{}, authorize(w)
			})
		var ended []schemas.EndTrialInput
		w.OnActivity(schemas.ActivityEndTrial, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.EndTrialInput) (any, error) {
			ended = append(ended, in)
			return nil, nil
		})
		w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
		w.ExecuteWorkflow(RunExport, schemas.RunInput{Export: e, Full: true})
		require.True(t, w.IsWorkflowCompleted(), how)
		require.Error(t, w.GetWorkflowError(), how)
		require.Equal(t, []schemas.EndTrialInput{{Connection: "marketing", Export: e.Name, People: "ABC"}}, ended, how)
	}
}
