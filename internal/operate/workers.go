package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"iterable-segment-export/schemas"
)

// ErrNoWorker says that there is no worker to ask.
var ErrNoWorker = errors.New("no worker answers")

// gone is how long ago a worker asked for work last that is taken for dead. One that
// lives asks at least once a minute, since Temporal ends its long polls by then.
const gone = 2 * time.Minute

// attendTime is how long Ask waits for a worker to turn up: it may be starting just
// now, or Temporal may.
const attendTime = 5 * time.Second

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

// attended waits a moment for a worker that answers questions, so that where there
// is none this shows soon, and not only when the question runs out of time.
func (o *Operator) attended(ctx context.Context) error {
	until := time.Now().Add(attendTime)
	for _, q := range []Queue{{schemas.TaskQueue, true}, {schemas.AccessTaskQueue, false}} {
		for {
			workers, err := o.Workers(ctx, q)
			if err != nil || len(workers) > 0 {
				// An error may be for want of a right that questions do not need.
				break
			}
			if time.Now().After(until) {
				return fmt.Errorf("%w: none listens to task queue %s of namespace %s; start one against this Temporal (worker --help), and see starter doctor",
					ErrNoWorker, q.Name, o.Namespace)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}
