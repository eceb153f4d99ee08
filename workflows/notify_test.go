package workflows

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// TestARefusedRunNotifies, and says that it was refused, so that nothing of its input is
// trusted; one that failed for another reason is told of as it is.
func TestARefusedRunNotifies(t *testing.T) {
	for kind, refused := range map[schemas.ErrorType]bool{schemas.ErrorGrant: true, schemas.ErrorNameTaken: true, schemas.ErrorNoConsent: false} {
		w := newWorld(t)
		w.OnActivity(schemas.ActivityAuthorize, mock.Anything, mock.Anything).Return(schemas.AuthorizeResult{}, needsOperator(kind))
		w.RegisterWorkflowWithOptions(Notify, workflow.RegisterOptions{Name: schemas.WorkflowNotify})
		var told []schemas.NotifyInput
		w.OnWorkflow(schemas.WorkflowNotify, mock.Anything, mock.Anything).Return(func(_ workflow.Context, in schemas.NotifyInput) error {
			told = append(told, in)
			return nil
		})
		w.RegisterDelayedCallback(func() { w.CancelWorkflow() }, notifyTime)
		w.ExecuteWorkflow(RunExport, schemas.RunInput{Export: schemas.Export{
			Name: "Spring", Connection: "marketing", Notify: []schemas.Notify{{URL: schemas.NotifyURL{URL: "https://hooks.example/x"}}},
		}})
		require.Error(t, w.GetWorkflowError())
		require.Len(t, told, 1, "%s", kind)
		require.Equal(t, refused, told[0].Refused, "%s", kind)
		require.Equal(t, kind == schemas.ErrorGrant, told[0].Message.Data.Event == schemas.EventFailed, "%s", kind)
	}
}
