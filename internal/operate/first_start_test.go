package operate

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

// asked is a Temporal that answers a question about the starts of a schedule with an error.
type asked struct {
	client.Client
	err error
}

type answer struct {
	workflowservice.WorkflowServiceClient
	err error
}

func (a asked) WorkflowService() workflowservice.WorkflowServiceClient { return answer{nil, a.err} }

func (a answer) ListScheduleMatchingTimes(context.Context, *workflowservice.ListScheduleMatchingTimesRequest, ...grpc.CallOption) (*workflowservice.ListScheduleMatchingTimesResponse, error) {
	return nil, a.err
}

// TestAnExportThatIsRemovedMeanwhileHidesNoLateOnes: the look for late runs goes on without it.
func TestAnExportThatIsRemovedMeanwhileHidesNoLateOnes(t *testing.T) {
	now := time.Now()
	o := &Session{Client: asked{err: serviceerror.NewNotFound("no such schedule")}}
	if at, err := o.firstStart(t.Context(), "export/Spring", now.Add(-time.Hour), now); err != nil || !at.IsZero() {
		t.Errorf("%s, %v", at, err)
	}
	broken := errors.New("broken")
	o.Client = asked{err: broken}
	if _, err := o.firstStart(t.Context(), "export/Spring", now.Add(-time.Hour), now); !errors.Is(err, broken) {
		t.Errorf("another error: %v", err)
	}
}
