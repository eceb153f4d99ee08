package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"iterable-segment-export/schemas"
)

// TestARunStartsOverIfASuppressionListChangesWhileItWaits: what it has staged before is not sent.
func TestARunStartsOverIfASuppressionListChangesWhileItWaits(t *testing.T) {
	w := newWorld(t)
	lists := func(version string) []schemas.SuppressionCount {
		return []schemas.SuppressionCount{{Name: "Complaints", Entries: 1, Fingerprint: version}}
	}
	staged := []schemas.Manifest{
		{Attempt: "a", Read: 10, Adds: 1, AddBatches: 1, Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 9}, SuppressionLists: lists("old")},
		{Attempt: "b", Read: 10, Adds: 9, AddBatches: 1, Suppressed: 1, SuppressionLists: lists("new")},
	}
	stagings := 0
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(func(context.Context, schemas.StageInput) (schemas.Manifest, error) {
		stagings++
		return staged[stagings-1], nil
	})
	var sent []schemas.UploadInput
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
		sent = append(sent, in)
		if in.Waited {
			return schemas.UploadCounts{}, needsOperator(schemas.ErrorSuppressionChanged)
		}
		return schemas.UploadCounts{Requests: 1, Sent: 9}, nil
	})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateApprove) }, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, sent, 2)
	require.Equal(t, []string{"a", "b"}, []string{sent[0].Attempt, sent[1].Attempt})
	require.Equal(t, lists("old"), sent[0].Suppression)
	require.False(t, sent[1].Waited) // nobody was waited for since
	require.Empty(t, sent[1].Suppression)
	require.EqualValues(t, 1, w.report().StartedOver)
	require.Len(t, w.report().Answers, 1)
}
