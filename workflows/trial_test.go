package workflows

import (
	"context"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

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
