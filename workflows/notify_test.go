package workflows

import (
	"context"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// TestWebhooksWaitInTheirOwnQueue: webhooks of a contributor's export may never answer, and are tried
// for a day. They take no slot of a worker that reads segments.
func TestWebhooksWaitInTheirOwnQueue(t *testing.T) {
	w := newWorld(t)
	queues := map[string]string{}
	w.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		queues[info.ActivityType.Name] = info.TaskQueue
	})
	w.RegisterWorkflowWithOptions(Notify, workflow.RegisterOptions{Name: schemas.WorkflowNotify})
	w.RegisterActivityWithOptions(func(context.Context, schemas.NotifyInput) error { return nil }, activity.RegisterOptions{Name: schemas.ActivityNotify})
	w.ExecuteWorkflow(schemas.WorkflowNotify, schemas.NotifyInput{})
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, map[string]string{schemas.ActivityNotify: schemas.NotifyTaskQueue}, queues)
}

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
