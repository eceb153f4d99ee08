package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// Options say what to measure.
type Options struct {
	// Rows is how many profiles the large segments have.
	Rows int64
	// Out is a folder for the figures and everything that is made for them.
	Out string
	// Only are the scenarios to run; empty runs all.
	Only []string
	// Sandbox starts a sandbox: a program and its first arguments, to which --addr,
	// --rate, --latency, --rows and --per-profile are added.
	Sandbox []string
	// Unthrottled runs every scenario without Iterable's limits and latency, and
	// leaves out what takes long: a test that nothing has rotted, no measurement.
	Unthrottled bool
	// Progress is told what is going on.
	Progress io.Writer
}

// lab is what the scenarios share: an embedded Temporal in this process, and a
// worker binary.
type lab struct {
	Options
	stack    *devstack.Stack
	client   client.Client
	operator *operate.Operator
	worker   string  // the binary
	nth      int     // of worlds
	first8   float64 // seconds of the first export with 8 fields, without a limit
	peak     float64 // megabytes of the worker that made it
	report   Report
}

func openLab(ctx context.Context, o Options) (l *lab, err error) {
	l = &lab{Options: o, worker: filepath.Join(o.Out, "worker")}
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", l.worker, "iterable-segment-export/worker")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the worker: %w\n%s", err, out)
	}
	if l.stack, err = devstack.Start(ctx, devstack.Options{FrontendAddr: "127.0.0.1:0"}); err != nil {
		return nil, err
	}
	l.client, err = client.Dial(client.Options{HostPort: l.stack.FrontendAddr(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return nil, err
	}
	l.operator = &operate.Operator{Client: l.client, Namespace: "default", Who: schemas.Person{Name: "bench", Role: schemas.RoleAdministrator}}
	return l, nil
}

func (l *lab) close() {
	l.client.Close()
	_ = l.stack.Stop()
}

func (l *lab) say(format string, args ...any) { fmt.Fprintf(l.Progress, format+"\n", args...) }

func (l *lab) add(f Figure) { l.report.Figures = append(l.report.Figures, f) }

// segment writes a segment of so many profiles that can all be mailed, unless it
// is there already, and gives its folder.
func (l *lab) segment(ctx context.Context, rows, seed int64, version int) (string, error) {
	dir := filepath.Join(l.Out, "segments", fmt.Sprintf("%d-%d-%d", rows, seed, version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	l.say("  writing a segment of %d rows", rows)
	o := generate.Options{Rows: rows, Out: dir, Seed: seed}
	if version > 1 {
		o.Version, o.Churn = version, 0.01
	}
	_, err := generate.Segment(ctx, o)
	return dir, err
}

// world is a project in Iterable, with the connection to it and a data root.
type world struct {
	*lab
	dir     string
	addr    string // of the sandbox
	url     string
	sandbox *process
	workers []*process
}

// project says what the sandbox is like and how the connection is set up.
type project struct {
	rate        float64 // requests a second, 0 for no limit
	latency     time.Duration
	subscribers int  // in a request, 0 for the default
	kept        bool // across a change of the limits
	auto        bool // the connection is not told the limits
	rows        int  // the most profiles that the project takes in a request, 0 for any
	perProfile  time.Duration
}

// iterableLike is a project with Iterable's limits.
var iterableLike = project{rate: 5, latency: 300 * time.Millisecond}

const keyEnv = "BENCH_SANDBOX_KEY"

// open makes a project: a sandbox in a process of its own, and a connection to it.
func (l *lab) open(ctx context.Context, p project) (*world, error) {
	l.nth++
	w := &world{lab: l, dir: filepath.Join(l.Out, fmt.Sprintf("world-%d", l.nth))}
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if w.addr, err = freePort(); err != nil {
		return nil, err
	}
	return w, w.become(ctx, p)
}

// become starts the sandbox, anew where it runs already, with a project's limits. The
// lists stay only if the project has been kept.
func (w *world) become(ctx context.Context, p project) error {
	if w.Unthrottled {
		p.rate, p.latency, p.rows, p.perProfile = 0, 0, 0, 0
	}
	if w.sandbox != nil {
		w.sandbox.stop()
	}
	args := append(w.Sandbox[1:len(w.Sandbox):len(w.Sandbox)], "--addr", w.addr, "--rate", fmt.Sprint(p.rate), "--latency", p.latency.String(),
		"--rows", fmt.Sprint(p.rows), "--per-profile", p.perProfile.String())
	if p.kept {
		args = append(args, "--data", filepath.Join(w.dir, "sandbox"))
	}
	w.url = "http://" + w.addr
	var err error
	if w.sandbox, err = start(filepath.Join(w.dir, "sandbox.log"), nil, w.Sandbox[0], args...); err != nil {
		return err
	}
	if err := answers(ctx, w.url+"/sandbox/stats", w.sandbox); err != nil {
		w.close()
		return err
	}
	limits := "{requestsPerSecond: 100000"
	switch {
	case p.auto:
		limits = "{requestsPerSecond: auto"
	case p.rate > 0:
		limits = fmt.Sprintf("{requestsPerSecond: %g", p.rate)
	}
	if p.subscribers > 0 {
		limits += fmt.Sprintf(", subscribersPerRequest: %d", p.subscribers)
	}
	text := fmt.Sprintf("connections:\n  - name: %s\n    baseURL: %s\n    apiKey: {env: %s}\n    allowed: [administrators, contributors]\n"+
		"    allowedSources: [%q]\n    limits: %s}\n    consent: {acceptedBy: bench, acceptedAt: 2026-01-01T00:00:00Z, statement: v1}\n",
		w.connection(), w.url, keyEnv, filepath.Join(w.Out, "segments"), limits)
	return os.WriteFile(filepath.Join(w.dir, "connections.yaml"), []byte(text), 0o600)
}

// connection is a name of the world's own, because Temporal's task queues bear it.
func (w *world) connection() string { return fmt.Sprintf("bench-%d", w.nth) }

// startWorkers starts worker processes.
func (w *world) startWorkers(n int, env ...string) error {
	for range n {
		log := filepath.Join(w.dir, fmt.Sprintf("worker-%d.log", len(w.workers)))
		p, err := start(log, append([]string{
			"CONNECTIONS_FILE=" + filepath.Join(w.dir, "connections.yaml"), "DATA_ROOT=" + filepath.Join(w.dir, "data"),
			"TEMPORAL_ADDRESS=" + w.stack.FrontendAddr(), "TEMPORAL_NAMESPACE=default", keyEnv + "=" + sandbox.DefaultKey, "LOG_LEVEL=warn",
		}, env...), w.worker)
		if err != nil {
			return err
		}
		w.workers = append(w.workers, p)
	}
	return nil
}

// stopWorkers ends the workers and adds up what they used: all CPU time, and the
// peak of the one that needed most memory.
func (w *world) stopWorkers() usage {
	var all usage
	for _, p := range w.workers {
		u := p.stop()
		all.CPU += u.CPU
		all.Peak = max(all.Peak, u.Peak)
	}
	w.workers = nil
	return all
}

func (w *world) close() {
	w.stopWorkers()
	if w.sandbox != nil {
		w.sandbox.stop()
	}
}

// eightFields are the columns that a segment's profiles are sent with.
var eightFields = []string{"FirstName", "LastName", "City", "Country", "Age", "LifetimeValue", "Subscribed", "CreatedAt"}

// export is an export of a segment in a folder.
func (w *world) export(name, source string, fields []string) schemas.Export {
	e := schemas.Export{
		Name: fmt.Sprintf("%s %d", name, w.nth), Connection: w.connection(), Email: "EmailAddress",
		Segments: []schemas.Segment{{Name: name, Source: source}},
	}
	for _, f := range fields {
		e.Fields.List = append(e.Fields.List, schemas.Field{Column: f})
	}
	return e
}

// lookEvery is how often a run is looked at; its own times are what is measured.
const lookEvery = 200 * time.Millisecond

// run runs an export to its end, and gives the seconds that the run took.
func (w *world) run(ctx context.Context, e schemas.Export) (operate.View, float64, error) {
	run, _, err := w.operator.Start(ctx, e, false)
	if err != nil {
		return operate.View{}, 0, err
	}
	return w.await(ctx, run)
}

func (w *world) await(ctx context.Context, run operate.Run) (operate.View, float64, error) {
	v, err := w.operator.Watch(ctx, run, lookEvery, true, nil)
	if err != nil {
		return v, 0, err
	}
	if v.State != schemas.StateDone {
		return v, 0, fmt.Errorf("the run of %s is %s: %s %+v", run.Export, v.State, v.Error, v.Waiting)
	}
	return v, v.FinishedAt.Sub(v.StartedAt).Seconds(), nil
}

// history is what the histories of a run say.
type history struct {
	events        int
	firstActivity time.Time          // was started by a worker
	seconds       map[string]float64 // from start to end, by activity, added up
}

// history reads the history of a workflow and adds it to h.
func (l *lab) history(ctx context.Context, workflowID string, h *history) error {
	if h.seconds == nil {
		h.seconds = map[string]float64{}
	}
	names, started := map[int64]string{}, map[int64]time.Time{}
	events := l.client.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return err
		}
		h.events++
		switch e.EventType {
		case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			names[e.EventId] = e.GetActivityTaskScheduledEventAttributes().ActivityType.Name
		case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			at := e.EventTime.AsTime()
			started[e.GetActivityTaskStartedEventAttributes().ScheduledEventId] = at
			if h.firstActivity.IsZero() || at.Before(h.firstActivity) {
				h.firstActivity = at
			}
		case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			id := e.GetActivityTaskCompletedEventAttributes().ScheduledEventId
			h.seconds[names[id]] += e.EventTime.AsTime().Sub(started[id]).Seconds()
		}
	}
	return nil
}

// steps tells the time of each step that takes a noticeable one, the longest first.
func (w *world) steps(ctx context.Context, v operate.View) (string, error) {
	h, err := w.histories(ctx, v)
	if err != nil {
		return "", err
	}
	names := slices.SortedFunc(maps.Keys(h.seconds), func(a, b string) int { return cmp.Compare(h.seconds[b], h.seconds[a]) })
	var steps []string
	for _, name := range names {
		if h.seconds[name] >= 0.05 {
			steps = append(steps, fmt.Sprintf("%s %.2f s", name, h.seconds[name]))
		}
	}
	return strings.Join(steps, ", "), nil
}

// stats asks the sandbox what it has seen.
func (w *world) stats() (s sandbox.Stats, err error) {
	r, err := http.Get(w.url + "/sandbox/stats?digests=false")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

// others makes other users of the project take requests.
func (w *world) others(rate float64) error {
	body, err := json.Marshal(sandbox.Load{Rate: rate})
	if err != nil {
		return err
	}
	r, err := http.Post(w.url+"/sandbox/load", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode >= 300 {
		return fmt.Errorf("POST /sandbox/load: %s", r.Status)
	}
	return nil
}
