// Package host runs the workflows and activities in a process: one Temporal worker for
// workflows and for reading segments, and one per connection, so that a slow Iterable
// project never delays another.
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	nethttp "net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/activities"
	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/lease"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/overview"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// Options says what to host.
type Options struct {
	Client      client.Client
	Connections activities.Connections
	// Access decides who may do what; nil is a gate without grants.
	Access *access.Gate
	Root   *storage.Root
	HTTP   *nethttp.Client // nil for the default of package iterable
	Log    *slog.Logger

	// StagingSlots and UploadSlots are how many segments are staged, and how many chunks
	// are sent over each connection, at the same time.
	StagingSlots, UploadSlots int
	// StopTimeout is how long activities may take to stop.
	StopTimeout time.Duration
	// TempDir is the folder for what does not fit into memory; empty is the system's.
	TempDir string
	// Notify says which webhooks may be called, and how messages are signed.
	Notify notify.Options
	// Metrics and Tracer may be nil.
	Metrics *observe.Metrics
	Tracer  trace.TracerProvider
	// Version goes into the User-Agent of requests.
	Version string
	// Namespace is the client's; empty is Temporal's default.
	Namespace string
	// Deployment and BuildID make the workers a version of a Temporal worker deployment.
	// Without a Deployment they accept every task.
	Deployment, BuildID string
}

// Host is a set of running workers.
type Host struct {
	o          Options
	activities *activities.Activities
	main       worker.Worker
	access     worker.Worker
	notify     worker.Worker
	cancel     context.CancelFunc
	watching   sync.WaitGroup
	failed     atomic.Pointer[error] // of a worker that has stopped by itself

	mu      sync.Mutex
	uploads map[string]worker.Worker // by connection
}

// accessSlots is how many runs are authorized at the same time; each takes a moment. notifySlots
// is how many webhooks are called at the same time; each may take up to 20 seconds.
const (
	accessSlots = 8
	notifySlots = 16
)

// lookForConnections is how often new connections are looked for.
const lookForConnections = 5 * time.Second

// Start starts the workers; they run until Stop.
func Start(ctx context.Context, o Options) (*Host, error) {
	h := &Host{o: o, uploads: map[string]worker.Worker{}}
	notifier, err := notify.New(o.Notify)
	if err != nil {
		return nil, err
	}
	if o.Access == nil {
		if o.Access, err = access.New(o.Root, nil); err != nil {
			return nil, err
		}
		h.o.Access = o.Access
	}
	registry := limits.NewRegistry()
	if err := o.Metrics.Rates(rates(registry)); err != nil {
		return nil, err
	}
	senders := limits.NewShare(o.Root, registry, o.Log)
	senders.Settings = func() map[string]schemas.Limits {
		all := map[string]schemas.Limits{}
		for _, name := range o.Connections.Names() {
			if c, err := o.Connections.Get(name); err == nil { // else it was just removed
				all[name] = c.Limits
			}
		}
		return all
	}
	h.activities = &activities.Activities{
		Connections: o.Connections, Access: o.Access,
		Clients: &activities.Clients{
			Connections: o.Connections,
			New:         newClient(o, registry, senders),
		},
		Senders: senders, Root: o.Root, TempDir: o.TempDir,
		Notifier: notifier, Metrics: o.Metrics, Log: o.Log, Version: o.Version,
		Overview:         overview.NewPage(&operate.Session{Client: o.Client, Namespace: cmp.Or(o.Namespace, client.DefaultNamespace)}),
		SearchAttributes: searchable(o), Executions: executions(o.Client), LastStaged: lastStaged(o),
		Runs: runs{&operate.Session{Client: o.Client, Namespace: o.Namespace}},
		Heartbeat: func(ctx context.Context, details ...any) error {
			return o.Client.RecordActivityHeartbeat(ctx, activity.GetInfo(ctx).TaskToken, details...)
		},
		Polled: func(ctx context.Context, queue string) (bool, error) { return polled(ctx, o.Client, queue) },
	}
	main := h.options(o.StagingSlots)
	main.Interceptors = []interceptor.WorkerInterceptor{&counting{metrics: o.Metrics}}
	h.main = worker.New(o.Client, schemas.TaskQueue, main)
	workflows.Register(h.main)
	register(h.main, map[string]any{
		schemas.ActivityInspectSegment: h.activities.InspectSegment,
		schemas.ActivityStageSegment:   h.activities.StageSegment,
		schemas.ActivityDivideSegment:  h.activities.DivideSegment,
		schemas.ActivityCloseDivided:   h.activities.CloseDivided,
		schemas.ActivityCommitSnapshot: h.activities.CommitSnapshot,
		schemas.ActivityWriteRunReport: h.activities.WriteRunReport,
		schemas.ActivityCloseRun:       h.activities.CloseRun,
		schemas.ActivityEndTrial:       h.activities.EndTrial,
		schemas.ActivityRemoveExport:   h.activities.RemoveExport,
		schemas.ActivitySweep:          h.activities.Sweep,
		schemas.ActivityFindLateRuns:   h.findLateRuns,
		schemas.ActivityReadSchedule:   (&operate.Session{Client: o.Client, Namespace: o.Namespace}).AppliedNow,
		schemas.ActivityLookAtRun:      (&operate.Session{Client: o.Client, Namespace: o.Namespace}).LookAtRun,
		schemas.ActivityReadRefresh:    h.readRefresh,
	})
	h.access = worker.New(o.Client, schemas.AccessTaskQueue, h.options(accessSlots))
	register(h.access, map[string]any{
		schemas.ActivityAuthorize: h.activities.Authorize,
		schemas.ActivityServed:    h.activities.Served,
	})
	h.notify = worker.New(o.Client, schemas.NotifyTaskQueue, h.options(notifySlots))
	register(h.notify, map[string]any{schemas.ActivityNotify: h.activities.Notify})
	if err := h.startWorkers(); err != nil {
		return nil, err
	}
	if err := h.serveConnections(); err != nil {
		h.Stop()
		return nil, err
	}
	ctx, h.cancel = context.WithCancel(ctx)
	if err := o.Metrics.Ask(h.state(ctx)); err != nil {
		h.Stop()
		return nil, err
	}
	h.watching.Go(func() { h.watchConnections(ctx) })
	return h, nil
}

// startWorkers starts the workers of the queues that are not of one connection, or none.
func (h *Host) startWorkers() error {
	var started []worker.Worker
	for _, q := range []struct {
		name string
		worker.Worker
	}{{schemas.TaskQueue, h.main}, {schemas.AccessTaskQueue, h.access}, {schemas.NotifyTaskQueue, h.notify}} {
		if err := q.Start(); err != nil {
			for _, w := range started {
				w.Stop()
			}
			return fmt.Errorf("start the worker of task queue %s: %w", q.name, err)
		}
		started = append(started, q.Worker)
	}
	return nil
}

// polledWithin is how long a worker counts as serving a task queue after its last poll. A
// poll blocks for up to a minute.
const polledWithin = 90 * time.Second

// polled reports whether any worker serves the activities of a task queue.
func polled(ctx context.Context, c client.Client, queue string) (bool, error) {
	d, err := c.DescribeTaskQueue(ctx, queue, enums.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return false, fmt.Errorf("ask Temporal who serves the task queue %s: %w", queue, err)
	}
	for _, p := range d.Pollers {
		if time.Since(p.LastAccessTime.AsTime()) < polledWithin {
			return true, nil
		}
	}
	return false, nil
}

// rates returns an iterator over the pace of every connection.
func rates(registry *limits.Registry) func(func(observe.Rate)) {
	return func(yield func(observe.Rate)) {
		registry.Each(func(connection, endpoint string, l *limits.Limiter) {
			learned := l.Learned()
			yield(observe.Rate{Connection: connection, Endpoint: endpoint, PerSecond: l.Rate(), All: learned.Rate, Profiles: learned.Rows})
		})
	}
}

// newClient returns a constructor of API clients. They share the registry, so that the pace
// of a connection survives a change of its other settings. They reserve requests with
// documented limits from senders, which may be nil.
func newClient(o Options, registry *limits.Registry, senders *limits.Share) func(schemas.Connection, func() (string, error)) (*iterable.Client, error) {
	http := o.HTTP
	if http == nil {
		http = iterable.NewHTTPClient(iterable.TransportOptions{})
		http.Transport = o.Metrics.Transport(http.Transport, o.Tracer)
	}
	leased := *http
	leased.Transport = lease.Transport(cmp.Or(leased.Transport, nethttp.DefaultTransport))
	http = &leased
	return func(c schemas.Connection, key func() (string, error)) (*iterable.Client, error) {
		return iterable.New(iterable.Options{
			BaseURL: iterable.Address(c), Key: key, Connection: c.Name, Limits: c.Limits,
			Registry: registry, HTTP: http, Log: o.Log, Version: o.Version, Wait: senders.Wait(c.Name),
		})
	}
}

func (h *Host) options(slots int) worker.Options {
	o := worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		WorkerStopTimeout:                  h.o.StopTimeout,
		DisableRegistrationAliasing:        true,
		OnFatalError:                       h.fatal,
	}
	if h.o.Deployment != "" {
		// A run can wait for an operator for weeks, and no old worker should have to stay
		// that long: runs move to the new version, whose code replays their history
		// (workflow.GetVersion).
		o.DeploymentOptions = worker.DeploymentOptions{
			UseVersioning:             true,
			Version:                   worker.WorkerDeploymentVersion{DeploymentName: h.o.Deployment, BuildID: h.o.BuildID},
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
		}
	}
	return o
}

// searchable returns a function that reports whether the namespace has the search
// attributes. Once it has them, it does not ask again.
func searchable(o Options) func(context.Context) bool {
	var mu sync.Mutex
	var has bool
	return func(ctx context.Context) bool {
		mu.Lock()
		defer mu.Unlock()
		if !has {
			has = dial.HasAttributes(ctx, o.Client, cmp.Or(o.Namespace, client.DefaultNamespace))
		}
		return has
	}
}

// executions returns a function that asks Temporal for a workflow execution.
func executions(c client.Client) func(context.Context, string, string) (activities.Execution, error) {
	return func(ctx context.Context, id, run string) (activities.Execution, error) {
		d, err := c.DescribeWorkflowExecution(ctx, id, run)
		if err != nil {
			return activities.Execution{}, fmt.Errorf("ask Temporal for the workflow %s: %w", id, err)
		}
		info := d.WorkflowExecutionInfo
		e := activities.Execution{First: info.FirstRunId, Started: info.StartTime.AsTime()}
		if info.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			e.Running = info.Type.GetName()
		}
		return e, nil
	}
}

func register(w worker.Worker, all map[string]any) {
	for name, a := range all {
		w.RegisterActivityWithOptions(a, activity.RegisterOptions{Name: name})
	}
}

// serveConnections starts a worker for each connection without one.
func (h *Host) serveConnections() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.o.Connections.Names() {
		if h.uploads[name] != nil {
			continue
		}
		queue := schemas.UploadTaskQueue(name)
		w := worker.New(h.o.Client, queue, h.options(h.o.UploadSlots))
		register(w, map[string]any{
			schemas.ActivityFetchForgotten: h.activities.FetchForgotten,
			schemas.ActivityEnsureList:     h.activities.EnsureList,
			schemas.ActivityUploadBatches:  h.activities.UploadBatches,
		})
		if err := w.Start(); err != nil {
			return fmt.Errorf("start the worker of task queue %s: %w", queue, err)
		}
		h.uploads[name] = w
	}
	return nil
}

// watchConnections serves connections that are added while the process runs. It also
// schedules the sweep and the look for late runs, as soon as Temporal allows.
func (h *Host) watchConnections(ctx context.Context) {
	tick := time.NewTicker(lookForConnections)
	defer tick.Stop()
	scheduled := false
	for {
		if !scheduled {
			err := errors.Join(scheduleSweep(ctx, h.o.Client), scheduleFindLate(ctx, h.o.Client))
			if scheduled = err == nil; err != nil && ctx.Err() == nil {
				h.o.Log.Warn("sweep or look for late runs not scheduled; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := h.serveConnections(); err != nil {
				h.o.Log.Error("connection not served; trying again", "error", err)
			}
		}
	}
}

// Stop stops the workers after their activities have stopped.
func (h *Host) Stop() {
	if h.cancel != nil {
		h.cancel()
	}
	h.watching.Wait()
	var all sync.WaitGroup
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.uploads {
		all.Go(w.Stop)
	}
	all.Go(h.main.Stop)
	all.Go(h.access.Stop)
	all.Go(h.notify.Stop)
	all.Wait()
}
