package operate

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// gone is how long a worker may not have polled before it counts as stopped. Temporal
// ends long polls after a minute, so a running worker polls more often.
const gone = 2 * time.Minute

// Worker is a worker that polls a task queue.
type Worker struct {
	Identity string    `json:"identity"`
	LastSeen time.Time `json:"lastSeen"`
	// Deployment and Build are its version, empty if it has none.
	Deployment string `json:"deployment,omitempty"`
	Build      string `json:"build,omitempty"`
	// Idle is set if its version is neither the current nor the ramping one, so that it gets
	// no tasks.
	Idle bool `json:"idle,omitempty"`
}

// Queue is a task queue, polled for workflows or for activities.
type Queue struct {
	Name      string
	Workflows bool
}

// Workers returns the workers that poll a task queue. It leaves out those that last polled
// two minutes or more before the latest poll.
func (o *Session) Workers(ctx context.Context, q Queue) ([]Worker, error) {
	kind := enums.TASK_QUEUE_TYPE_ACTIVITY
	if q.Workflows {
		kind = enums.TASK_QUEUE_TYPE_WORKFLOW
	}
	d, err := o.Client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: o.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.Name}, TaskQueueType: kind,
	})
	if err != nil {
		return nil, fmt.Errorf("describe task queue %s: %w", q.Name, err)
	}
	var newest time.Time
	for _, p := range d.Pollers {
		if at := p.GetLastAccessTime().AsTime(); at.After(newest) {
			newest = at
		}
	}
	var out []Worker
	for _, p := range d.Pollers {
		if at := p.GetLastAccessTime().AsTime(); newest.Sub(at) < gone {
			w := Worker{Identity: p.Identity, LastSeen: at}
			if v := p.DeploymentOptions; v.GetWorkerVersioningMode() == enums.WORKER_VERSIONING_MODE_VERSIONED {
				w.Deployment, w.Build = v.DeploymentName, v.BuildId
			}
			is := func(v *deployment.WorkerDeploymentVersion) bool {
				return v.GetDeploymentName() == w.Deployment && v.GetBuildId() == w.Build
			}
			of := d.VersioningInfo
			w.Idle = !is(of.GetCurrentDeploymentVersion()) && (of.GetRampingVersionPercentage() == 0 || !is(of.GetRampingDeploymentVersion()))
			out = append(out, w)
		}
	}
	return out, nil
}
