package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"iterable-segment-export/schemas"
)

var (
	payloads = converter.GetDefaultDataConverter()
	failures = temporal.GetDefaultFailureConverter()
)

// outcomes is the signal by which a workflow learns that activities have ended.
const outcomes = "outcomes"

// engine replaces Temporal for the activities of one run: it starts attempts, detects lost ones
// by missing heartbeats, and starts the next ones. The workflows run in the SDK's test
// environment, which supports neither.
type engine struct {
	*run
	env  *testsuite.TestWorkflowEnvironment
	next int
	// number tells the engines of a history apart, executions the workflows of one.
	number, executions int
	open               map[int]*task
	// changed is set once something has happened to a workflow since it was asked what it waits for.
	changed bool
	waits   []wait
	timers  int
	over    map[int]outcome // by the task's number, until the workflow has taken it
	// played is what activities ended with, in their order, and recorded what another
	// execution of a run that was reset replays of it, by workflow.
	played   []ended
	recorded map[string][]ended
}

// ended is the result of an activity, once it has ended.
type ended struct {
	workflowID string
	name       string
	over       bool
	read       *[]row
	outcome
}

type outcome struct {
	result *commonpb.Payloads
	err    error
}

// task is one activity of a workflow.
type task struct {
	engine   *engine
	part     *part
	id       int
	key      string
	workflow workflow.Execution
	name     string
	input    *commonpb.Payloads
	options  workflow.ActivityOptions
	begun    time.Time
	read     *[]row // the rows that its last attempt reads, or nil
	staging  string // of an upload: the attempt that staged what it sends

	attempt   int
	current   *attempt // nil between two
	beat      *commonpb.Payloads
	cancelled bool
}

// attempt is one try of an activity on a worker. A sweep is an attempt without a task.
type attempt struct {
	world  *world
	task   *task
	key    string
	number int32
	run    *run // nil for a sweep
	ctx    context.Context
	cancel context.CancelFunc
	stopCh chan struct{}
	stops  sync.Once
	detail *commonpb.Payloads // of the attempt before
	began  time.Time

	mu       sync.Mutex
	killed   bool
	frozen   bool
	thaws    int       // at this step of the scheduler, counted once another one took its place
	until    time.Time // or at this time
	replaced int       // the step at which another one took its place, 0 before
	beaten   time.Time // when the last heartbeat was sent that was answered
	beats    int
	released time.Time // when an effect of its was let happen last
	timer    *time.Timer
	acks     []*ack
	noted    int // how many of acks were surely kept
	// suppressed is the suppression list when it began.
	suppressed map[int]identifiers
	// overtaken is set once an effect was held after its lease was checked. held, if set, reports
	// whether the attempt still is.
	overtaken bool
	held      func() bool
	// late is set for a sweep that hears late from Temporal, after the run beside it has begun.
	late   bool
	beside *run
}

type attemptContext struct{}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptContext{}).(*attempt)
	return a
}

func (a *attempt) dead() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.killed
}

// awake reports whether the attempt's process runs.
func (a *attempt) awake() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.frozen || a.killed {
		return true
	}
	if a.held != nil {
		if a.frozen = a.held(); !a.frozen {
			a.held = nil
		}
		return !a.frozen
	}
	now := time.Now()
	if a.replaced > 0 && a.world.steps >= a.replaced+a.thaws || a.task == nil && a.world.steps >= a.thaws || a.replaced == 0 && !a.until.IsZero() && now.After(a.until) {
		a.frozen = false
	}
	return !a.frozen
}

// kill kills the attempt's worker.
func (a *attempt) kill() {
	a.mu.Lock()
	a.killed, a.frozen = true, false
	a.mu.Unlock()
	a.cancel()
}

// freeze freezes the attempt's worker: for some seconds, or until another attempt has replaced
// it and made progress.
func (a *attempt) freeze(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = true
	a.thaws = int(a.world.roll("thaw", key) * 60)
	a.until = time.Time{}
	if a.task == nil {
		a.thaws += a.world.steps
	} else if a.world.roll("nap", key) < 0.3 {
		a.until = time.Now().Add(time.Duration(1+a.world.roll("for", key)*8) * time.Second)
	}
}

// stop asks the worker to shut down.
func (a *attempt) stop() { a.stops.Do(func() { close(a.stopCh) }) }

// lease is how long an attempt may have effects after a heartbeat was answered.
const lease = 5 * time.Second

// effect checks that the attempt may have an effect now.
func (a *attempt) effect(what string) {
	if a.task == nil {
		return
	}
	a.mu.Lock()
	age := time.Since(a.beaten)
	a.mu.Unlock()
	if !a.overtaken && (a.beaten.IsZero() || age >= lease) {
		a.world.violated("c", "%s %s %s after its last heartbeat was answered", a.key, what, age)
	}
}

// temporalAnswers sends a heartbeat (activities.Activities.Heartbeat).
func (w *world) temporalAnswers(ctx context.Context, details ...any) error {
	a := attemptOf(ctx)
	data, err := payloads.ToPayloads(details...)
	if err != nil {
		return err
	}
	w.private("a heartbeat of "+a.key, data)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.beats++
	over := a.replaced > 0 || a.task.current != a || a.run.terminated
	switch {
	case a.killed, a.frozen:
		return errNoAnswer
	case (over || a.task.cancelled) && a.released.Equal(time.Now()):
		return errNoAnswer // what else the attempt does just now would come before it or after it
	case over:
		return serviceerror.NewNotFound("simulated: the attempt is over")
	case !w.calm && w.roll("unreachable", fmt.Sprint(a.key, a.beats/3)) < w.plan.beatFaults:
		return errNoAnswer
	}
	a.beaten = time.Now()
	a.task.beat = data
	a.watch()
	if a.task.cancelled {
		return temporal.NewCanceledError()
	}
	return nil
}

// watch starts to wait for the next heartbeat.
func (a *attempt) watch() {
	if a.timer != nil {
		a.timer.Stop()
	}
	if most := a.task.options.HeartbeatTimeout; most > 0 {
		a.timer = a.world.after(most, a.key+" is missed", func() { a.task.missed(a) })
	}
}

// private checks that data for Temporal contains no personal data.
func (w *world) private(what string, data *commonpb.Payloads) {
	for _, p := range data.GetPayloads() {
		if bytes.Contains(p.Data, []byte(mark)) {
			w.violated("h", "%s holds data of a person: %s", what, p.Data)
		}
	}
}

// schedule begins an activity.
func (e *engine) schedule(info *workflow.Info, name string, options workflow.ActivityOptions, input *commonpb.Payloads) *task {
	e.next++
	t := &task{engine: e, id: e.next, part: e.run.part(info.WorkflowExecution.ID), workflow: info.WorkflowExecution, name: name, input: input, options: options, begun: time.Now()}
	t.key = e.world.named(e.key + " " + name)
	e.world.private("the input of "+t.key, input)
	if name == schemas.ActivityUploadBatches {
		var in schemas.UploadInput
		must(payloads.FromPayloads(input, &in))
		t.staging = in.Attempt
		t.part.lastStaged = &schemas.Staged{Attempt: in.Attempt, Version: in.SnapshotVersion, Sending: true}
	}
	e.open[t.id] = t
	id := info.WorkflowExecution.ID
	e.played = append(e.played, ended{workflowID: id, name: name})
	if recorded := e.recorded[id]; len(recorded) > 0 && recorded[0].over && recorded[0].name == name {
		before := recorded[0]
		e.recorded[id] = recorded[1:]
		e.world.add(&step{key: t.key + " is replayed", do: func() { t.reads(before.read); t.close(before.outcome) }})
		return t
	}
	delete(e.recorded, id)
	e.world.add(&step{key: t.key + " is taken", do: t.start})
	return t
}

// start begins the next attempt.
func (t *task) start() {
	e := t.engine
	if e.terminated || e.open[t.id] == nil {
		return
	}
	t.attempt++
	a := &attempt{
		world: e.world, task: t, key: fmt.Sprintf("%s, attempt %d", t.key, t.attempt), number: int32(t.attempt), run: e.run,
		stopCh: make(chan struct{}), detail: t.beat, beaten: time.Now(), began: time.Now(),
		suppressed: e.suppressed,
	}
	e.attempts = append(e.attempts, a)
	ctx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(activityContext()), attemptContext{}, a))
	a.ctx, a.cancel = ctx, cancel
	t.current = a
	a.mu.Lock()
	a.watch()
	a.mu.Unlock()
	method := reflect.ValueOf(e.world.activities[t.name])
	in := reflect.New(method.Type().In(1))
	if err := payloads.FromPayloads(t.input, in.Interface()); err != nil {
		panic(err)
	}
	e.sees(t, in.Elem().Interface())
	e.world.goes(func() {
		out := method.Call([]reflect.Value{reflect.ValueOf(ctx), in.Elem()})
		err, _ := out[len(out)-1].Interface().(error)
		var result *commonpb.Payloads
		if err == nil && len(out) == 2 {
			var bad error
			if result, bad = payloads.ToPayloads(out[0].Interface()); bad != nil {
				panic(bad)
			}
		}
		a.returned(result, err)
	})
}

// returned reports the end of an attempt to Temporal.
func (a *attempt) returned(result *commonpb.Payloads, err error) {
	defer a.cancel()
	key := a.world.named(a.key + " reports its end")
	if a.dead() {
		return
	}
	a.world.wait(key, a)
	lost := a.world.decide(key, a.world.plan.rootFaults, loseAnswer)
	a.mu.Lock()
	gone := a.killed || a.replaced > 0 || a.task.current != a || a.run.terminated
	a.mu.Unlock()
	if gone {
		return
	}
	if lost != goOn {
		a.world.tell("  %s: the answer does not reach Temporal", key)
		a.run.troubled = true
		a.kill()
		return
	}
	a.task.ended(a, result, err)
}

// missed ends an attempt whose heartbeats stopped.
func (t *task) missed(a *attempt) {
	a.mu.Lock()
	late := time.Since(a.beaten) >= t.options.HeartbeatTimeout // or it has just come
	a.mu.Unlock()
	if t.current != a || t.engine.terminated || !late {
		return
	}
	t.engine.world.tell("  Temporal misses the heartbeats of %s", a.key)
	t.engine.world.count("heartbeats missed")
	a.run.troubled = true
	t.replaced(a)
	timeout := &failurepb.Failure{Message: "activity Heartbeat timeout", FailureInfo: &failurepb.Failure_TimeoutFailureInfo{
		TimeoutFailureInfo: &failurepb.TimeoutFailureInfo{TimeoutType: enums.TIMEOUT_TYPE_HEARTBEAT, LastHeartbeatDetails: t.beat}}}
	t.again(timeout, 0)
}

// replaced releases an attempt.
func (t *task) replaced(a *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replaced = max(1, t.engine.world.steps)
	if a.timer != nil {
		a.timer.Stop()
	}
	t.current = nil
}

// ended handles the result of an attempt.
func (t *task) ended(a *attempt, result *commonpb.Payloads, err error) {
	t.replaced(a)
	w := t.engine.world
	if err == nil {
		w.private("the result of "+t.key, result)
		t.close(outcome{result: result})
		return
	}
	failure := failures.ErrorToFailure(err)
	if data, _ := proto.Marshal(failure); bytes.Contains(data, []byte(mark)) {
		w.violated("h", "the error of %s holds data of a person: %v", t.key, err)
	}
	var app *temporal.ApplicationError
	switch {
	case t.cancelled && temporal.IsCanceledError(err):
		t.fail(failure, enums.RETRY_STATE_CANCEL_REQUESTED)
	case errors.As(err, &app) && app.NonRetryable(), temporal.IsCanceledError(err):
		t.fail(failure, enums.RETRY_STATE_NON_RETRYABLE_FAILURE)
	default:
		var delay time.Duration
		if app != nil {
			delay = app.NextRetryDelay()
		}
		t.again(failure, delay)
	}
}

// again schedules the next attempt.
func (t *task) again(failure *failurepb.Failure, delay time.Duration) {
	p := t.options.RetryPolicy
	if delay == 0 {
		delay = p.InitialInterval << min(t.attempt-1, 8)
	}
	delay = min(delay, p.MaximumInterval)
	w := t.engine.world
	switch most := t.options.ScheduleToCloseTimeout; {
	case t.cancelled:
		t.fail(failure, enums.RETRY_STATE_CANCEL_REQUESTED)
	case most > 0 && time.Since(t.begun)+delay >= most:
		t.fail(failure, enums.RETRY_STATE_TIMEOUT)
	default:
		w.after(delay, t.key+" is taken again", t.start)
	}
}

func (t *task) fail(cause *failurepb.Failure, state enums.RetryState) {
	t.close(outcome{err: failures.FailureToError(&failurepb.Failure{
		Message: "activity error", Cause: cause,
		FailureInfo: &failurepb.Failure_ActivityFailureInfo{ActivityFailureInfo: &failurepb.ActivityFailureInfo{
			ActivityType: &commonpb.ActivityType{Name: t.name}, ActivityId: fmt.Sprint(t.id), RetryState: state}},
	})})
}

// close reports the activity's end to the workflow.
func (t *task) close(o outcome) {
	e := t.engine
	if e.open[t.id] == nil || e.terminated {
		return
	}
	delete(e.open, t.id)
	e.over[t.id], e.played[t.id-1] = o, ended{t.workflow.ID, t.name, true, t.read, o}
	switch {
	case o.err != nil:
	case t.name == schemas.ActivityCommitSnapshot:
		e.published[t.part.workflowID] = true
		t.part.lastStaged.Committed = true
	case t.name == schemas.ActivityCloseRun && t.part.lastStaged != nil:
		t.part.lastStaged.Closed = true
	case t.name == schemas.ActivityUploadBatches:
		t.part.lastStaged.Sent = true
	case t.name == schemas.ActivityStageSegment:
		var m schemas.Manifest
		must(payloads.FromPayloads(o.result, &m))
		t.part.staged, t.part.lastStaged = m, &schemas.Staged{Attempt: m.Attempt, Version: m.SnapshotVersion}
		if e.plan.told {
			e.tell("  %s has staged %d adds, %d updates, %d removals, %d unchanged against snapshot %d of %d members", t.key,
				m.Adds, m.Updates, m.Removals, m.Unchanged, m.SnapshotVersion, m.Members)
		}
	}
	e.signal(t.workflow.ID, t.id)
}

// signal tells a workflow that a task or timer has ended.
func (e *engine) signal(workflowID string, id int) {
	e.changed = true
	_ = e.env.SignalWorkflowByID(workflowID, outcomes, id)
}

// cancel cancels the activity.
func (t *task) cancel() {
	t.cancelled = true
	if t.current == nil && t.engine.open[t.id] != nil {
		t.fail(failures.ErrorToFailure(temporal.NewCanceledError()), enums.RETRY_STATE_CANCEL_REQUESTED)
	}
}
