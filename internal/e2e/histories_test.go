package e2e

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// recordEnv makes TestRunsReplay write the histories to where the replay test reads
// them.
const recordEnv = "RECORD_HISTORIES"

// TestRunsReplay makes a run of every kind and replays what Temporal has written
// down of each. With RECORD_HISTORIES set it keeps them in workflows/testdata, and
// makes one too that is so long that it goes on in a second execution.
func TestRunsReplay(t *testing.T) {
	t.Parallel()
	record := os.Getenv(recordEnv) != ""
	w := newWorld(t, sandbox.Config{}, false)
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	w.notify.Allowed = []string{hook.URL}
	w.others = w.connection("alone", w.url, "{requestsPerSecond: 100000, subscribersPerRequest: 1}")
	w.writeConnections("{requestsPerSecond: 1000}")
	w.startHost()
	w.everyKindOfRun(hook.URL)
	if record {
		w.people("Continued", 1, 50_001, 1)
		e := w.of("Continued")
		e.Connection = "alone"
		w.doneWithin(w.start(e), 10*time.Minute)
	}
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	for name, h := range w.histories() {
		if err := replayer.ReplayWorkflowHistory(nil, h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if record {
			w.record(name, h)
		}
	}
}

// everyKindOfRun makes runs that end in every way there is, named after it.
func (w *world) everyKindOfRun(hook string) {
	w.t.Helper()
	finished := w.of("Finished")
	finished.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: hook}, On: []string{schemas.EventDone}}}
	w.people("Finished", 1, 30, 1, invalid(3)...)
	w.done(w.run(finished))

	w.people("Changed", 1, 30, 1)
	w.done(w.run(w.of("Changed")))
	w.people("Changed", 3, 31, 1)
	w.done(w.run(w.of("Changed")))

	w.people("Approved", 1, 10, 1)
	w.done(w.run(w.of("Approved")))
	w.people("Approved", 5, 10, 1)
	v := w.run(w.of("Approved"))
	w.waitsWith(v, schemas.ErrorGuardrail)
	w.done(w.answer(v, schemas.UpdateApprove))

	w.people("Retried", 1, 10, 1)
	w.key(true)
	v = w.run(w.of("Retried"))
	w.waitsWith(v, schemas.ErrorKeyRejected)
	w.key(false)
	w.done(w.answer(v, schemas.UpdateRetry))

	for _, name := range []string{"Waiting", "Aborted", "Checked"} {
		w.people(name, 1, 0, 1)
	}
	w.waitsWith(w.run(w.of("Waiting")), schemas.ErrorGuardrail)
	v = w.run(w.of("Aborted"))
	w.waitsWith(v, schemas.ErrorGuardrail)
	w.answer(v, schemas.UpdateAbort)
	run, _, err := w.operator.Check(w.t.Context(), w.of("Checked"), false)
	if err != nil {
		w.t.Fatal(err)
	}
	w.done(w.watch(run))

	w.people("Cancelled", 1, 10, 1)
	before := w.requests("lists/subscribe")
	if err := w.sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "slow", Delay: sandbox.Duration(2 * time.Second)}); err != nil {
		w.t.Fatal(err)
	}
	run = w.start(w.of("Cancelled"))
	w.until("the request is made", func() bool { return w.requests("lists/subscribe") > before })
	if err := w.operator.Cancel(w.t.Context(), run); err != nil {
		w.t.Fatal(err)
	}
	w.watch(run)
	w.sandbox.ClearFaults()

	failed := w.of("Failed")
	failed.Connection = "nowhere"
	v = w.run(failed)
	w.waitsWith(v, schemas.ErrorUnknownConnection)
	w.answer(v, schemas.UpdateAbort)

	if _, err := w.operator.CheckConnection(w.t.Context(), "sandbox"); err != nil {
		w.t.Fatal(err)
	}
	w.people("Scheduled", 1, 10, 1)
	steps, err := operate.Plan(&schemas.Exports{Refresh: &schemas.Timing{Cron: seldom}, Exports: []schemas.Export{w.of("Scheduled")}}, nil, false, false)
	if err == nil {
		err = w.operator.Apply(w.t.Context(), steps)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	applied, err := w.operator.AppliedExport(w.t.Context(), "Scheduled")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.operator.Trigger(w.t.Context(), applied); err != nil {
		w.t.Fatal(err)
	}
	w.until("the schedule's run is done", func() bool {
		v, ok := w.operator.Last(w.t.Context(), "Scheduled")
		return ok && v.State == schemas.StateDone
	})
	if _, err := w.operator.Remove(w.t.Context(), applied, false); err != nil {
		w.t.Fatal(err)
	}
}

// histories gives the history of every workflow that Temporal knows of, by a name
// that says which kind of run it is of.
func (w *world) histories() map[string]*history.History {
	w.t.Helper()
	ctx := w.t.Context()
	all := map[string]*history.History{}
	var page []byte
	for {
		list, err := w.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 100, NextPageToken: page})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range list.Executions {
			name := nameOf(e.Type.Name, e.Execution.WorkflowId)
			if strings.HasPrefix(name, "export-continued-segment") && e.Status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
				name += "-2"
			} else if strings.HasPrefix(name, "export-continued-segment") {
				name += "-1"
			}
			if all[name] == nil { // the list has the newest first
				all[name] = w.history(ctx, e.Execution)
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			return all
		}
	}
}

// nameOf makes a file's name of a workflow's type and id.
func nameOf(kind, id string) string {
	export := regexp.MustCompile(`^(?:export|check)/([A-Za-z]+)`).FindStringSubmatch(id)
	switch {
	case kind == schemas.WorkflowRunExport:
		return "export-" + strings.ToLower(export[1])
	case kind == schemas.WorkflowExportSegment:
		return "export-" + strings.ToLower(export[1]) + "-segment"
	case kind == schemas.WorkflowScheduledRun:
		return "scheduled"
	case kind == schemas.WorkflowRemoveExport:
		return "removed"
	}
	return strings.ToLower(kind)
}

func (w *world) history(ctx context.Context, e *common.WorkflowExecution) *history.History {
	w.t.Helper()
	h := &history.History{}
	for events := w.client.GetWorkflowHistory(ctx, e.WorkflowId, e.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		h.Events = append(h.Events, event)
	}
	return h
}

// record keeps a history, with this machine's name and folders taken out.
func (w *world) record(name string, h *history.History) {
	w.t.Helper()
	clean := func(text string) string { return strings.ReplaceAll(text, w.dir, "/srv") }
	err := proxy.VisitPayloads(w.t.Context(), h, proxy.VisitPayloadsOptions{Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*common.Payload) ([]*common.Payload, error) {
		for _, p := range payloads {
			p.Data = []byte(clean(string(p.Data)))
		}
		return payloads, nil
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(h)
	if err != nil {
		w.t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		w.t.Fatal(err)
	}
	identity := regexp.MustCompile(`([0-9]+@` + regexp.QuoteMeta(host) + `[^"]*)|` + `\b` + regexp.QuoteMeta(host) + `:[0-9a-f-]{36}`)
	file, err := os.Create(filepath.Join(repository, "workflows/testdata/histories", name+".json.gz"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	zipped := gzip.NewWriter(file)
	if _, err := io.WriteString(zipped, clean(identity.ReplaceAllString(string(text), "worker"))); err != nil {
		w.t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s: %d events", name, len(h.Events))
}
