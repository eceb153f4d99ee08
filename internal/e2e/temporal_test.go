package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// bareTemporal gives the world a Temporal whose namespace has no search
// attributes.
func (w *world) bareTemporal() {
	w.t.Helper()
	w.startTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", SearchAttributes: map[string]enums.IndexedValueType{}})
}

// TestSetup runs in a namespace without the search attributes, makes them, and
// finds the next run by them.
func TestSetup(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	w.bareTemporal()
	expected := w.generated(500)
	w.startHost()
	s := starter{w, build(t, "starter")}
	w.done(w.run(w.export("Without", "EmailAddress")))
	out := s.want(0, "setup", "-o", "json")
	var after []operate.Attribute
	if err := json.Unmarshal([]byte(out), &after); err != nil || len(after) != len(schemas.SearchAttributes) {
		t.Fatalf("%v\n%s", err, out)
	}
	s.contains(s.want(0, "setup"), schemas.AttributeExport, "Keyword", schemas.AttributeSent, "Int")
	r := w.done(w.run(w.export("With", "EmailAddress")))
	query := fmt.Sprintf("%s = 'With' AND %s = 'done' AND %s = 'sandbox' AND %s = %d AND %s = %d", schemas.AttributeSegment, schemas.AttributeState,
		schemas.AttributeConnection, schemas.AttributeSent, expected.Valid, schemas.AttributeRejected, r.Manifest.Read-expected.Valid-expected.Duplicates)
	w.until("the run is found by "+query, func() bool {
		found, err := w.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", Query: query})
		return err == nil && len(found.Executions) == 1
	})
}

// upgrade makes a build the current one of the deployment, as soon as it is
// there.
func (w *world) upgrade(build string) {
	w.t.Helper()
	h := w.client.WorkerDeploymentClient().GetHandle(deployment)
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err = h.SetCurrentVersion(w.t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build}); err == nil {
			return
		}
	}
	w.t.Fatal(err)
}

const deployment = "segment-export"

// TestARollingUpgrade replaces the workers by those of another build while one
// run sends and another one waits for an operator; both move on to the new
// build and get through.
func TestARollingUpgrade(t *testing.T) {
	w := newWorld(t, sandbox.Config{Rate: 40, Latency: 20 * time.Millisecond}, false)
	w.writeConnections("{requestsPerSecond: 40, subscribersPerRequest: 50}")
	expected := w.generated(10_000)
	bin := build(t, "worker")
	start := func(build string) *exec.Cmd {
		cmd := exec.Command(bin)
		cmd.Env = []string{"TEMPORAL_DEPLOYMENT_NAME=" + deployment, "TEMPORAL_WORKER_BUILD_ID=" + build}
		return w.processOf(build+".log", cmd)
	}
	old := start("1")
	w.upgrade("1")
	empty := w.export("Waits", "EmailAddress")
	empty.Segments[0].Source += "/nothing"
	waits := w.run(empty)
	w.waiting(waits)
	sends := w.start(w.export("Sends", "EmailAddress"))
	w.until("some requests are through", func() bool { return w.requests("lists/subscribe") >= 40 })

	start("2")
	w.upgrade("2")
	if err := old.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = old.Wait()
	before := w.requests("lists/subscribe")
	r := w.done(w.watch(sends))
	if before >= int64(r.Manifest.AddBatches) {
		t.Fatalf("all %d requests were through before the old worker ended", before)
	}
	if total := w.requests("lists/subscribe"); total != int64(r.Manifest.AddBatches) {
		t.Errorf("%d requests for %d batches", total, r.Manifest.AddBatches)
	}
	if l := w.list("Sends"); l.Digest != expected.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
	}
	for _, run := range []operate.Run{sends, w.aborted(waits)} {
		if build := w.ranOn(run); build != "2" {
			t.Errorf("%s ended on build %q", run.Export, build)
		}
	}
}

// aborted ends a waiting run.
func (w *world) aborted(v operate.View) operate.Run {
	w.t.Helper()
	if got := w.answer(v, schemas.UpdateAbort); got.State != schemas.StateAborted {
		w.t.Fatalf("the run is %s", got.State)
	}
	return v.Run
}

// ranOn is the build that a run's workflow was on last.
func (w *world) ranOn(run operate.Run) string {
	w.t.Helper()
	d, err := w.client.DescribeWorkflowExecution(context.Background(), run.WorkflowID, run.RunID)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId()
}
