package operate

import (
	"context"
	"fmt"
	"time"

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
			out = append(out, Worker{Identity: p.Identity, LastSeen: at})
		}
	}
	return out, nil
}
