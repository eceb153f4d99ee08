package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// workflowDoor makes the engine run the workflows' activities.
type workflowDoor struct {
	interceptor.WorkerInterceptorBase
	engine *engine
}

func (d *workflowDoor) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	i := &inbound{engine: d.engine, waits: map[int]waiter{}}
	i.Next = next
	return i
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	engine *engine
	waits  map[int]waiter // by the task's number, negative for timers
	runID  string         // of this execution, which the test environment does not number
}

// waiter is what a workflow waits for an activity with, or for a timer.
type waiter struct {
	set  workflow.Settable
	ctx  workflow.Context
	task *task // nil for a timer
}

func (i *inbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &outbound{inbound: i}
	o.Next = out
	return i.Next.Init(o)
}

// terminated is the panic of a terminated workflow.
const terminated = "simulated: terminated"

func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	free, _ := workflow.NewDisconnectedContext(ctx)
	// One coroutine for both: the dispatcher runs all of them at each event.
	workflow.Go(free, func(free workflow.Context) {
		ended := workflow.GetSignalChannel(free, outcomes)
		s := workflow.NewSelector(free)
		s.AddReceive(ended, func(ended workflow.ReceiveChannel, _ bool) { i.ended(free, ended) })
		s.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { i.cancelled() })
		for ctx.Err() == nil {
			s.Select(free)
		}
		for {
			i.ended(free, ended)
		}
	})
	for {
		i.engine.executions++
		i.runID = fmt.Sprintf("%s.%d.%d", i.engine.id, i.engine.number, i.engine.executions)
		result, err := i.Next.ExecuteWorkflow(ctx, in)
		var again *workflow.ContinueAsNewError
		if !errors.As(err, &again) {
			return result, err
		}
		var next schemas.SegmentInput // the test environment would leave a goroutine behind
		must(payloads.FromPayloads(again.Input, &next))
		i.engine.count("executions that go on in a new one")
		in = &interceptor.ExecuteWorkflowInput{Args: []any{next}}
	}
}

// ended receives the number of a task or timer that has ended.
func (i *inbound) ended(ctx workflow.Context, from workflow.ReceiveChannel) {
	var id int
	from.Receive(ctx, &id)
	if i.engine.terminated {
		panic(terminated)
	}
	o, ok := i.engine.over[id]
	if w := i.waits[id]; ok && w.set != nil {
		delete(i.engine.over, id)
		delete(i.waits, id)
		w.set.Set(o.result, o.err)
	}
}

// cancelled cancels what the workflow waits for.
func (i *inbound) cancelled() {
	for _, id := range slices.Sorted(maps.Keys(i.waits)) {
		switch w := i.waits[id]; {
		case w.ctx.Err() == nil:
		case w.task == nil:
			delete(i.waits, id)
			w.set.SetError(w.ctx.Err())
		default:
			w.task.cancel()
		}
	}
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	inbound *inbound
}

func (o *outbound) Now(workflow.Context) time.Time { return time.Now() }

// Sleep waits in the time of the world. The test environment's timers would fire at once.
func (o *outbound) Sleep(ctx workflow.Context, d time.Duration) error {
	e := o.inbound.engine
	if e.terminated {
		panic(terminated)
	}
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	f, set := workflow.NewFuture(ctx)
	e.timers++
	id, workflowID := -e.timers, o.GetInfo(ctx).WorkflowExecution.ID
	o.inbound.waits[id] = waiter{set: set, ctx: ctx}
	e.world.after(d, e.world.named(e.run.key+" wakes up"), func() {
		if !e.terminated && !e.run.over {
			e.over[id] = outcome{}
			e.signal(workflowID, id)
		}
	})
	return f.Get(ctx, nil)
}

// GetInfo returns the workflow's info with a unique run ID, which the test environment lacks.
func (o *outbound) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *o.Next.GetInfo(ctx)
	info.FirstRunID, info.WorkflowStartTime = o.inbound.engine.id, o.inbound.engine.began
	info.WorkflowExecution.RunID = o.inbound.runID
	return &info
}

func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	f, set := workflow.NewFuture(ctx)
	e := o.inbound.engine
	if e.terminated {
		panic(terminated)
	}
	if err := ctx.Err(); err != nil {
		set.SetError(err)
		return f
	}
	input, err := payloads.ToPayloads(args...)
	if err != nil {
		set.SetError(err)
		return f
	}
	t := e.schedule(o.GetInfo(ctx), name, workflow.GetActivityOptions(ctx), input)
	o.inbound.waits[t.id] = waiter{set, ctx, t}
	return f
}

// activityDoor provides the activities' info.
type activityDoor struct {
	interceptor.WorkerInterceptorBase
}

func (*activityDoor) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &activityInbound{}
	i.Next = next
	return i
}

type activityInbound struct {
	interceptor.ActivityInboundInterceptorBase
}

func (i *activityInbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	o := &activityOutbound{}
	o.Next = out
	return i.Next.Init(o)
}

type activityOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
}

func (o activityOutbound) GetInfo(ctx context.Context) activity.Info {
	a := attemptOf(ctx)
	if a == nil {
		return o.Next.GetInfo(ctx)
	}
	return activity.Info{
		WorkflowExecution: a.task.workflow, ActivityID: fmt.Sprint(a.task.id), ActivityType: activity.Type{Name: a.task.name},
		HeartbeatTimeout: a.task.options.HeartbeatTimeout, Attempt: a.number, TaskToken: []byte(a.key),
	}
}

func (activityOutbound) HasHeartbeatDetails(ctx context.Context) bool {
	return attemptOf(ctx).detail != nil
}

func (activityOutbound) GetHeartbeatDetails(ctx context.Context, d ...any) error {
	return payloads.FromPayloads(attemptOf(ctx).detail, d...)
}

func (activityOutbound) GetWorkerStopChannel(ctx context.Context) <-chan struct{} {
	return attemptOf(ctx).stopCh
}

// activityContext returns a context that the SDK made for an activity. Its info comes from
// activityOutbound.
var activityContext = sync.OnceValue(func() (out context.Context) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&activityDoor{}}})
	env.RegisterActivityWithOptions(func(ctx context.Context) error { out = ctx; return nil }, activity.RegisterOptions{Name: "context"})
	if _, err := env.ExecuteActivity("context"); err != nil {
		panic(err)
	}
	return out
})

var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
