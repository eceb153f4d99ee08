package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// limits are those of a project in Iterable.
type limits struct {
	rate       float64 // requests a second, less than 0 for no limit
	rows       int     // profiles in a request, 0 for any number
	perProfile time.Duration
	latency    time.Duration
	told       bool // the connection is told them
	documented bool // all endpoints have the documented limits, and answers lag as Iterable's do
}

// setting returns the limits of the connection in connections.yaml.
func (l limits) setting() string {
	if !l.told {
		return ""
	}
	rate := l.rate
	if rate < 0 {
		rate = 1000
	}
	return fmt.Sprintf("    limits: {requestsPerSecond: %g, subscribersPerRequest: %d}\n", rate, cmp.Or(l.rows, addressesInABody))
}

// project is a project in Iterable, with a connection, a data root and workers.
type project struct {
	*bench
	limits
	dir      string
	sandbox  *sandbox.Server
	iterable *httptest.Server
	client   client.Client
	operator *operate.Session
	workers  []*exec.Cmd

	mu       sync.Mutex
	requests []request // to subscribe
}

// request is one request to subscribe, as the project saw it.
type request struct {
	answered time.Time
	rows     int
	status   int
}

const (
	keyEnv    = "BENCH_KEY"
	byAnother = "X-Another-Integration"
)

func (b *bench) open(l limits) (*project, error) {
	b.opened++
	p := &project{bench: b, limits: l, dir: filepath.Join(b.out, fmt.Sprintf("project-%d", b.opened))}
	if err := errors.Join(os.RemoveAll(p.dir), os.MkdirAll(p.dir, 0o700)); err != nil {
		return nil, err
	}
	c := sandbox.Config{
		Fast: !l.documented, Rate: l.rate, MaxSubscribers: l.rows, PerProfile: l.perProfile, Latency: l.latency, Record: p.record,
	}
	if l.documented {
		c.NewList = b.newList
	}
	p.sandbox = sandbox.New(c)
	p.iterable = httptest.NewServer(p.sandbox)
	text := fmt.Sprintf("connections:\n  - name: %s\n    baseURL: %s\n    apiKey: {env: %s}\n    allowed: [administrators, contributors]\n"+
		"    allowedSources: [%q]\n    consent: {acceptedBy: bench, acceptedAt: 2026-01-01T00:00:00Z, statement: v1}\n%s",
		p.connection(), p.iterable.URL, keyEnv, filepath.Join(b.out, "segments"), l.setting())
	if err := os.WriteFile(filepath.Join(p.dir, "connections.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	var err error
	p.client, err = client.Dial(client.Options{HostPort: b.stack.FrontendAddr(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return nil, err
	}
	p.operator = &operate.Session{Client: p.client, Namespace: "default", Who: schemas.Person{Name: "bench", Role: schemas.RoleAdministrator}}
	return p, nil
}

// suppress adds a suppression list to the connection, before a worker is started.
func (p *project) suppress(source string) error {
	f, err := os.OpenFile(filepath.Join(p.dir, "connections.yaml"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "    suppress: [{name: never, source: %q, email: EmailAddress}]\n", source)
	return errors.Join(err, f.Close())
}

func (p *project) close() {
	p.stopWorkers()
	p.client.Close()
	p.iterable.Close()
}

// connection is a name of the project's own, because task queues carry it.
func (p *project) connection() string { return filepath.Base(p.dir) }

func (p *project) record(e sandbox.Exchange) {
	if e.Endpoint.Name != api.Subscribe.Name || e.Request.Header.Get(byAnother) != "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, request{time.Now(), bytes.Count(e.Body, []byte(`{"email":`)), e.Status})
}

// others makes another integration send requests until ctx ends.
func (p *project) others(ctx context.Context, rate float64) {
	for tick := time.Tick(time.Duration(float64(time.Second) / rate)); ctx.Err() == nil; <-tick {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.iterable.URL+"/api/lists/subscribe", strings.NewReader(`{"listId":0,"subscribers":[]}`))
		if err != nil {
			return
		}
		r.Header.Set("Api-Key", sandbox.DefaultKey)
		r.Header.Set(byAnother, "1")
		go func() {
			if answer, err := http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}()
	}
}

// startWorkers starts n worker processes, which log into the project's folder.
func (p *project) startWorkers(n int) error {
	for range n {
		log, err := os.OpenFile(filepath.Join(p.dir, "workers.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer log.Close()
		w := exec.Command(p.worker)
		w.Env = append(os.Environ(), "CONNECTIONS_FILE="+filepath.Join(p.dir, "connections.yaml"), "DATA_ROOT="+filepath.Join(p.dir, "data"),
			"TEMPORAL_ADDRESS="+p.stack.FrontendAddr(), "TEMPORAL_NAMESPACE=default", keyEnv+"="+sandbox.DefaultKey, "LOG_LEVEL=warn")
		w.Stdout, w.Stderr = log, log
		if err := w.Start(); err != nil {
			return err
		}
		p.workers = append(p.workers, w)
	}
	return nil
}

// stopWorkers ends the workers. It returns their CPU time in seconds, and the peak
// memory in megabytes of the one that used most, 0 where the system does not tell.
func (p *project) stopWorkers() (cpu, peak float64) {
	for _, w := range p.workers {
		// Linux counts the parent's memory in an ended child's resource usage.
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.Process.Pid))
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		var kilobytes float64
		if _, err := fmt.Sscanf(after, "%f kB", &kilobytes); err == nil {
			peak = max(peak, kilobytes*1024/1e6)
		}
		_ = w.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(40*time.Second, func() { _ = w.Process.Kill() })
		_ = w.Wait()
		kill.Stop()
		cpu += (w.ProcessState.UserTime() + w.ProcessState.SystemTime()).Seconds()
	}
	p.workers = nil
	return cpu, peak
}

// segment writes a segment whose profiles all have a good address, unless it is there,
// and returns its folder. Of a second version, 1 % has changed.
func (b *bench) segment(ctx context.Context, rows, seed int64, version int) (string, error) {
	dir := filepath.Join(b.out, "segments", fmt.Sprintf("%d-%d-%d", rows, seed, version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	o := generate.Options{Rows: rows, Out: dir, Seed: seed}
	if version > 1 {
		o.Version, o.Churn = version, 0.01
	}
	_, err := generate.Segment(ctx, o)
	return dir, err
}

// eightFields are the columns that profiles are sent with.
var eightFields = []string{"FirstName", "LastName", "City", "Country", "Age", "LifetimeValue", "Subscribed", "CreatedAt"}

func (p *project) export(name, source string, fields []string) schemas.Export {
	e := schemas.Export{
		Name: p.connection() + " " + name, Connection: p.connection(), Email: "EmailAddress",
		Segments: []schemas.Segment{{Name: name, Source: source}},
	}
	for _, f := range fields {
		e.Fields.List = append(e.Fields.List, schemas.Field{Column: f})
	}
	return e
}

// done is a run that has ended.
type done struct {
	operate.View
	seconds float64
	steps   map[string]float64 // seconds, by activity
	first   time.Time          // when the first activity started
	events  [2]int             // in the histories of the run and of its segment
}

func (d done) requests() int64 { return d.Segments[0].Report.Upload.Requests }

func (d done) note() string {
	return fmt.Sprintf("%d requests; staging %.2f s, uploading %.2f s, snapshot %.2f s; %d + %d events",
		d.requests(), d.steps[schemas.ActivityStageSegment], d.steps[schemas.ActivityUploadBatches], d.steps[schemas.ActivityCommitSnapshot], d.events[0], d.events[1])
}

// run runs an export to its end.
func (p *project) run(ctx context.Context, e schemas.Export) (done, error) {
	run, _, err := p.operator.Start(ctx, e, false)
	if err != nil {
		return done{}, err
	}
	return p.await(ctx, run)
}

func (p *project) await(ctx context.Context, run operate.Run) (d done, err error) {
	if d.View, err = p.operator.Watch(ctx, run, 100*time.Millisecond, true, nil); err != nil {
		return d, err
	}
	if d.State != schemas.StateDone {
		return d, fmt.Errorf("the run of %s is %s: %s %+v", run.Export, d.State, d.Error, d.Waiting)
	}
	d.seconds, d.steps = d.FinishedAt.Sub(d.StartedAt).Seconds(), map[string]float64{}
	for k, id := range []string{d.Run.WorkflowID, d.Segments[0].WorkflowID} {
		scheduled, started := map[int64]string{}, map[int64]time.Time{}
		events := p.client.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return d, err
			}
			d.events[k]++
			at := e.EventTime.AsTime()
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				scheduled[e.EventId] = a.ActivityType.Name
			} else if a := e.GetActivityTaskStartedEventAttributes(); a != nil {
				started[a.ScheduledEventId] = at
				if d.first.IsZero() || at.Before(d.first) {
					d.first = at
				}
			} else if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
				d.steps[scheduled[a.ScheduledEventId]] += at.Sub(started[a.ScheduledEventId]).Seconds()
			}
		}
	}
	return d, nil
}
