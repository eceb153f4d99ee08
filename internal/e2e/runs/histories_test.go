package runs

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// recordEnv makes TestRunsReplay write the histories to where the replay test reads
// them.
const recordEnv = "RECORD_HISTORIES"

// TestRunsReplay makes a run of every kind and replays what Temporal has written
// down of each. It also checks how long their activities may take. With RECORD_HISTORIES set it keeps them in workflows/testdata; with
// RECORD_HISTORIES=all it makes one too that is so long that it goes on in a second
// execution.
func TestRunsReplay(t *testing.T) {
	t.Parallel()
	record, long := os.Getenv(recordEnv) != "", os.Getenv(recordEnv) == "all"
	if long {
		workflows.ChunksPerExecution = 10 // as the replay test has it
	}
	w := world.New(t, sandbox.Config{}, false)
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	w.Notify.Allowed = []string{hook.URL}
	w.Others = w.Connection("alone", w.URL, "{requestsPerSecond: 100000, subscribersPerRequest: 1}")
	w.WriteConnections("{}")
	w.StartHost()
	everyKindOfRun(w, hook.URL)
	if long {
		w.People("Continued", 1, 6_501, 1)
		e := w.Of("Continued")
		e.Connection = "alone"
		w.DoneWithin(w.Start(e), 10*time.Minute)
	}
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	limited := map[string]bool{}
	for name, h := range histories(w) {
		timesAreLimited(t, name, h, limited)
		id := h.Events[0].GetWorkflowExecutionStartedEventAttributes().WorkflowId // which has the time that a refresh starts runs for
		if err := replayer.ReplayWorkflowHistoryWithOptions(nil, h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: id}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if record {
			keep(w, name, h)
		}
	}
	for _, activity := range append(takeLong, needConnection...) {
		if !limited[activity] {
			t.Errorf("no run has the activity %s", activity)
		}
	}
}

// takeLong are activities that a large segment can keep busy for more than a day, and
// needConnection those that need a worker which serves the connection.
var (
	takeLong       = []string{schemas.ActivityInspectSegment, schemas.ActivityStageSegment, schemas.ActivityUploadBatches, schemas.ActivityCommitSnapshot}
	needConnection = []string{schemas.ActivityFetchForgotten, schemas.ActivityEnsureList, schemas.ActivityUploadBatches}
)

// timesAreLimited checks the time limits of the activities of a history, and adds the activities
// to found: no worker is silent for more than 10 s, large segments have the time that they need,
// and a connection that no worker serves is noticed after 3 minutes.
func timesAreLimited(t *testing.T, name string, h *history.History, found map[string]bool) {
	t.Helper()
	for _, event := range h.Events {
		a := event.GetActivityTaskScheduledEventAttributes()
		if a == nil {
			continue
		}
		activity := a.ActivityType.Name
		found[activity] = true
		if beat := a.HeartbeatTimeout.AsDuration(); beat != 10*time.Second {
			t.Errorf("%s: %s may be silent for %s", name, activity, beat)
		}
		if most := a.StartToCloseTimeout.AsDuration(); most < 24*time.Hour && slices.Contains(takeLong, activity) {
			t.Errorf("%s: %s may take %s", name, activity, most)
		}
		if !slices.Contains(needConnection, activity) {
			continue
		}
		if queue := a.TaskQueue.Name; queue != schemas.UploadTaskQueue("sandbox") && queue != schemas.UploadTaskQueue("alone") {
			t.Errorf("%s: %s is in the queue %s", name, activity, queue)
		}
		if wait := a.ScheduleToStartTimeout.AsDuration(); wait != 3*time.Minute {
			t.Errorf("%s: %s waits %s for a worker", name, activity, wait)
		}
	}
}

// everyKindOfRun makes runs that end in every way there is, named after it.
func everyKindOfRun(w *world.World, hook string) {
	w.T.Helper()
	finished := w.Of("Finished")
	finished.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: hook}, On: []string{schemas.EventDone}}}
	w.People("Finished", 1, 30, 1, world.Invalid(3)...)
	w.Done(w.Run(finished))

	w.People("Changed", 1, 30, 1)
	w.Done(w.Run(w.Of("Changed")))
	w.People("Changed", 3, 31, 1)
	w.Done(w.Run(w.Of("Changed")))

	w.People("Approved", 1, 10, 1)
	w.Done(w.Run(w.Of("Approved")))
	w.People("Approved", 5, 10, 1)
	v := w.Run(w.Of("Approved"))
	w.WaitsWith(v, schemas.ErrorGuardrail)
	w.Done(w.Answer(v, schemas.UpdateApprove))

	w.People("Retried", 1, 10, 1)
	w.Key(true)
	v = w.Run(w.Of("Retried"))
	w.WaitsWith(v, schemas.ErrorKeyRejected)
	w.Key(false)
	w.Done(w.Answer(v, schemas.UpdateRetry))

	for _, name := range []string{"Waiting", "Aborted", "Checked"} {
		w.People(name, 1, 0, 1)
	}
	w.WaitsWith(w.Run(w.Of("Waiting")), schemas.ErrorGuardrail)
	v = w.Run(w.Of("Aborted"))
	w.WaitsWith(v, schemas.ErrorGuardrail)
	w.Answer(v, schemas.UpdateAbort)
	run, _, err := w.Operator.Check(w.T.Context(), w.Of("Checked"), false)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Done(w.Watch(run))

	w.People("Cancelled", 1, 10, 1)
	before := w.Requests("lists/subscribe")
	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "slow", Delay: 2 * time.Second}); err != nil {
		w.T.Fatal(err)
	}
	run = w.Start(w.Of("Cancelled"))
	w.Until("the request is made", func() bool { return w.Requests("lists/subscribe") > before })
	if err := w.Operator.Cancel(w.T.Context(), run); err != nil {
		w.T.Fatal(err)
	}
	w.Watch(run)
	w.Sandbox.ClearFaults()

	failed := w.Of("Failed")
	failed.Connection = "nowhere"
	v = w.Run(failed)
	w.WaitsWith(v, schemas.ErrorUnknownConnection)
	w.Answer(v, schemas.UpdateAbort)

	refreshes(w)

	w.People("Scheduled", 1, 10, 1)
	scheduled := w.Of("Scheduled")
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{scheduled}})
	applied, err := w.Operator.AppliedExport(w.T.Context(), "Scheduled")
	if err != nil {
		w.T.Fatal(err)
	}
	w.Trigger("Scheduled")
	w.Until("the schedule's run is done", func() bool {
		v, ok := w.Last("Scheduled")
		return ok && v.State == schemas.StateDone
	})
	if _, err := w.Operator.Remove(w.T.Context(), applied, false); err != nil {
		w.T.Fatal(err)
	}
}

// refreshes makes a refresh of two exports, one by its schedule and one for news, and a look for
// late runs.
func refreshes(w *world.World) {
	w.T.Helper()
	w.People("First", 1, 10, 1)
	w.People("Second", 1, 10, 1)
	first, second := w.Of("First"), w.Of("Second")
	first.Fields, second.Fields, second.After = schemas.Fields{}, schemas.Fields{}, schemas.OneOrMore{"First"}
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{first, second}})
	runs := func(n int) func() bool {
		return func() bool {
			views, err := w.Operator.History(w.T.Context(), "Second", 5)
			return err == nil && len(views) == n && views[0].State == schemas.StateDone
		}
	}
	w.Trigger("First")
	w.Until("the refresh is done", runs(1))
	applied, err := w.Operator.AppliedExport(w.T.Context(), "First")
	if err != nil {
		w.T.Fatal(err)
	}
	if _, err := w.Operator.News(w.T.Context(), applied, "a test"); err != nil {
		w.T.Fatal(err)
	}
	w.Until("those after it are done", runs(2))

	h := w.Client.ScheduleClient().GetHandle(w.T.Context(), schemas.LateRunsID)
	w.Until("looks are scheduled", func() bool { return h.Trigger(w.T.Context(), client.ScheduleTriggerOptions{}) == nil })
	w.Until("a look has ended", func() bool {
		last, err := w.Operator.LastLook(w.T.Context())
		return err == nil && !last.LookedAt.IsZero()
	})
}

// histories gives the history of every workflow that Temporal knows of, by a name
// that says which kind of run it is of.
func histories(w *world.World) map[string]*history.History {
	w.T.Helper()
	ctx := w.T.Context()
	all := map[string]*history.History{}
	var page []byte
	for {
		list, err := w.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 100, NextPageToken: page})
		if err != nil {
			w.T.Fatal(err)
		}
		for _, e := range list.Executions {
			name := nameOf(e.Type.Name, e.Execution.WorkflowId)
			if strings.HasPrefix(name, "export-continued-segment") && e.Status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
				name += "-2"
			} else if strings.HasPrefix(name, "export-continued-segment") {
				name += "-1"
			}
			if kind := e.Type.Name; kind == schemas.WorkflowRefresh {
				name += "-news"
				if all[name] != nil { // the first one
					name = "refresh-scheduled"
				}
			}
			if all[name] == nil { // the list has the newest first
				all[name] = historyOf(ctx, w, e.Execution)
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

func historyOf(ctx context.Context, w *world.World, e *common.WorkflowExecution) *history.History {
	w.T.Helper()
	h := &history.History{}
	for events := w.Client.GetWorkflowHistory(ctx, e.WorkflowId, e.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		if err != nil {
			w.T.Fatal(err)
		}
		h.Events = append(h.Events, event)
	}
	return h
}

// keep keeps a history, with this machine's name and folders taken out.
func keep(w *world.World, name string, h *history.History) {
	w.T.Helper()
	clean := func(text string) string { return strings.ReplaceAll(text, w.Dir, "/srv") }
	err := proxy.VisitPayloads(w.T.Context(), h, proxy.VisitPayloadsOptions{Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*common.Payload) ([]*common.Payload, error) {
		for _, p := range payloads {
			p.Data = []byte(clean(string(p.Data)))
		}
		return payloads, nil
	}})
	if err != nil {
		w.T.Fatal(err)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(h)
	if err != nil {
		w.T.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		w.T.Fatal(err)
	}
	identity := regexp.MustCompile(`([0-9]+@` + regexp.QuoteMeta(host) + `[^"]*)|` + `\b` + regexp.QuoteMeta(host) + `:[0-9a-f-]{36}`)
	file, err := os.Create(filepath.Join("../../../workflows/testdata/histories", name+".json.gz"))
	if err != nil {
		w.T.Fatal(err)
	}
	defer file.Close()
	zipped := gzip.NewWriter(file)
	if _, err := io.WriteString(zipped, clean(identity.ReplaceAllString(string(text), "worker"))); err != nil {
		w.T.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		w.T.Fatal(err)
	}
	w.T.Logf("%s: %d events", name, len(h.Events))
}
