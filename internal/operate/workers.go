package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// ErrNoWorker says that there is no worker to ask.
var ErrNoWorker = errors.New("no worker answers")

// gone is how long ago a worker asked for work last that is taken for dead. One that
// lives asks at least once a minute, since Temporal ends its long polls by then.
const gone = 2 * time.Minute

// Worker is a worker that listens to a task queue.
type Worker struct {
	Identity string    `json:"identity"`
	LastSeen time.Time `json:"lastSeen"`
}

// Queue is a task queue as its workers poll it: for workflows, or for activities.
type Queue struct {
	Name      string
	Workflows bool
}

// Workers lists the workers that listen to a task queue. Those are left out that
// have not asked for work since the newest of them last did, by two minutes.
func (o *Operator) Workers(ctx context.Context, q Queue) ([]Worker, error) {
	kind := enums.TASK_QUEUE_TYPE_ACTIVITY
	if q.Workflows {
		kind = enums.TASK_QUEUE_TYPE_WORKFLOW
	}
	d, err := o.Client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: o.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.Name}, TaskQueueType: kind,
	})
	if err != nil {
		return nil, fmt.Errorf("look at task queue %s: %w", q.Name, err)
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
