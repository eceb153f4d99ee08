package workflows

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

func TestScheduledRun(t *testing.T) {
	in := schemas.ScheduledInput{Export: schemas.Export{Name: "A/b", Connection: "c"}, Grant: &schemas.Grant{Person: schemas.Person{Name: "ann"}}}
	start := func(t *testing.T, child error) *testsuite.TestWorkflowEnvironment {
		env := newEnvironment()
		env.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
		env.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(
			func(ctx workflow.Context, got schemas.RunInput) (schemas.RunResult, error) {
				require.Equal(t, "export/A%2Fb", workflow.GetInfo(ctx).WorkflowExecution.ID)
				require.Equal(t, schemas.RunInput{Export: in.Export, Grant: in.Grant, Trigger: schemas.Trigger{Kind: "schedule"}}, got)
				return schemas.RunResult{Export: got.Export.Name}, child
			}).Maybe()
		env.OnUpsertMemo(mock.Anything).Return(nil).Maybe()
		return env
	}

	t.Run("runs the export", func(t *testing.T) {
		env := start(t, nil)
		env.ExecuteWorkflow(ScheduledRun, schemas.ScheduledStart{ScheduledInput: in})
		var out schemas.ScheduledResult
		require.NoError(t, env.GetWorkflowResult(&out))
		require.Equal(t, "A/b", out.Run.Export)
	})
	t.Run("ends as the run ends", func(t *testing.T) {
		env := start(t, temporal.NewNonRetryableApplicationError("1 of 2", schemas.ErrorSegmentsFailed, nil))
		env.ExecuteWorkflow(ScheduledRun, schemas.ScheduledStart{ScheduledInput: in})
		require.ErrorContains(t, env.GetWorkflowError(), "1 of 2")
	})
	t.Run("skips where a run is under way", func(t *testing.T) {
		env := newEnvironment()
		env.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
		env.OnWorkflow(schemas.WorkflowRunExport, mock.Anything, mock.Anything).Return(schemas.RunResult{},
			&temporal.ChildWorkflowExecutionAlreadyStartedError{})
		env.OnUpsertMemo(mock.Anything).Return(nil).Once()
		env.ExecuteWorkflow(ScheduledRun, schemas.ScheduledStart{ScheduledInput: in})
		var out schemas.ScheduledResult
		require.NoError(t, env.GetWorkflowResult(&out))
		require.Nil(t, out.Run)
		require.Contains(t, out.Skipped, "under way")
		env.AssertExpectations(t)
	})
}
