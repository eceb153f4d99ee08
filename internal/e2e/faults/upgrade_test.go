package faults

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// upgrade makes a build the current one of the deployment, as soon as it is
// there.
func upgrade(w *world.World, build string) {
	w.T.Helper()
	h := w.Client.WorkerDeploymentClient().GetHandle(deployment)
	var err error
	for end := time.Now().Add(world.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err = h.SetCurrentVersion(w.T.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build}); err == nil {
			return
		}
	}
	w.T.Fatal(err)
}

const deployment = "segment-export"

// TestARollingUpgrade replaces the workers by those of another build while one
// run sends and another one waits for an operator; both move on to the new
// build and get through.
func TestARollingUpgrade(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Rate: 40, Latency: 20 * time.Millisecond}, false)
	w.WriteConnections("{requestsPerSecond: 8, subscribersPerRequest: 50}")
	expected := w.Generated(10_000)
	bin := world.Build(t, "worker")
	start := func(build string) *exec.Cmd {
		cmd := exec.Command(bin)
		cmd.Env = []string{"TEMPORAL_DEPLOYMENT_NAME=" + deployment, "TEMPORAL_WORKER_BUILD_ID=" + build}
		return w.ProcessOf(build+".log", cmd)
	}
	old := start("1")
	upgrade(w, "1")
	empty := w.Export("Waits", "EmailAddress")
	empty.Segments[0].Source += "/nothing"
	waits := w.Run(empty)
	w.Waiting(waits)
	// Most of the answers take so long that the run sends until the old worker has ended.
	err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "slow", Delay: 2 * time.Second, Skip: 40})
	if err != nil {
		t.Fatal(err)
	}
	sends := w.Start(w.Export("Sends", "EmailAddress"))
	w.Until("some requests are through", func() bool { return w.Requests("lists/subscribe") >= 40 })

	start("2")
	upgrade(w, "2")
	if err := old.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	w.Ended(old)
	w.Sandbox.ClearFaults()
	before := w.Requests("lists/subscribe")
	r := w.Done(w.Watch(sends))
	if before >= int64(r.Manifest.AddBatches) {
		t.Fatalf("all %d requests were through before the old worker ended", before)
	}
	if total := w.Requests("lists/subscribe"); total != int64(r.Manifest.AddBatches) {
		t.Errorf("%d requests for %d batches", total, r.Manifest.AddBatches)
	}
	if l := w.List("Sends"); l.Digest != expected.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
	}
	for _, run := range []operate.Run{sends, aborted(w, waits)} {
		if build := ranOn(w, run); build != "2" {
			t.Errorf("%s ended on build %q", run.Export, build)
		}
	}
}

// TestABuildThatIsNotCurrent has workers poll that get no tasks: the look for late runs does not
// happen, and starter doctor says why, until the build is made the current one.
func TestABuildThatIsNotCurrent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, false) // nothing is sent
	w.WriteConnections("{}")
	cmd := exec.Command(world.Build(t, "worker"))
	cmd.Env = []string{"TEMPORAL_DEPLOYMENT_NAME=" + deployment, "TEMPORAL_WORKER_BUILD_ID=1"}
	w.ProcessOf("1.log", cmd)
	o := &operate.Session{Client: w.Client, Namespace: client.DefaultNamespace}
	queue := operate.Queue{Name: schemas.TaskQueue, Workflows: true}
	workers := func() []operate.Worker {
		all, err := o.Workers(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	w.Until("it polls", func() bool { return len(workers()) > 0 })
	if got := workers()[0]; !got.Idle || got.Deployment != deployment || got.Build != "1" {
		t.Errorf("%+v", got)
	}
	looks := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.LateRunsID)
	looked := func() time.Time {
		at, err := o.Looked(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	w.Until("the looks are scheduled", func() bool { return !looked().IsZero() })
	scheduled := looked()
	if d, err := looks.Describe(t.Context()); err != nil || !d.Info.CreatedAt.Equal(scheduled) {
		t.Errorf("before the first look it is %s; scheduled at %s, %v", scheduled, d.Info.CreatedAt, err)
	}
	upgrade(w, "1")
	w.Until("it gets tasks", func() bool { all := workers(); return len(all) > 0 && !all[0].Idle })
	if err := looks.Trigger(t.Context(), client.ScheduleTriggerOptions{}); err != nil {
		t.Fatal(err)
	}
	w.Until("a look has ended", func() bool { return looked().After(scheduled) })
}

// aborted ends a waiting run.
func aborted(w *world.World, v operate.View) operate.Run {
	w.T.Helper()
	if got := w.Answer(v, schemas.UpdateAbort); got.State != schemas.StateAborted {
		w.T.Fatalf("the run is %s", got.State)
	}
	return v.Run
}

// ranOn is the build that a run's workflow was on last.
func ranOn(w *world.World, run operate.Run) string {
	w.T.Helper()
	d, err := w.Client.DescribeWorkflowExecution(context.Background(), run.WorkflowID, run.RunID)
	if err != nil {
		w.T.Fatal(err)
	}
	return d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId()
}
