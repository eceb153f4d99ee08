package faults

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAFrozenWorkerSendsNothingWhenItThaws stops a worker in mid-upload as a suspended
// machine does, lets another one finish that run and the next, and wakes it up.
func TestAFrozenWorkerSendsNothingWhenItThaws(t *testing.T) {
	t.Parallel()
	bin := world.Build(t, "worker")
	w := world.New(t, sandbox.Config{Rate: 20, Latency: 100 * time.Millisecond}, false)
	w.WriteConnections("{requestsPerSecond: 20, subscribersPerRequest: 2}")
	e := w.Of("Frozen")
	w.People("Frozen", 1, 200, 1)
	first := w.Process(bin, "first.log")
	run := w.Start(e)
	w.Until("some requests are through", func() bool { return w.Requests("lists/subscribe") >= 20 })
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.Process(bin, "second.log")
	w.Done(w.Watch(run))
	w.People("Frozen", 150, 210, 2)
	v := w.Run(e)
	if v.State == schemas.StateWaiting {
		v = w.Answer(v, schemas.UpdateApprove)
	}
	w.Done(v)
	before := w.Requests("lists/subscribe") + w.Requests("lists/unsubscribe")
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// The next run takes longer than a worker that is awake needs for its next request.
	if r := w.Done(w.Run(e)); r.Upload.Requests != 0 {
		t.Errorf("the next run made %d requests", r.Upload.Requests)
	}
	if got := w.Requests("lists/subscribe") + w.Requests("lists/unsubscribe"); got != before {
		t.Errorf("%d requests came after the worker woke up", got-before)
	}
	if have := w.Members("Frozen"); !slices.Equal(have, world.Persons(150, 210)) {
		t.Errorf("the list has %v", have)
	}
}

// TestADeadlineIsForFailures: an upload that gets on is not stopped, however long it
// takes; one that fails for so long waits, says so, and does not send again what Iterable
// has acknowledged.
func TestADeadlineIsForFailures(t *testing.T) {
	t.Parallel()
	// Fast: a deadline of two seconds is over before Iterable knows a new list.
	w := world.New(t, sandbox.Config{Fast: true, Rate: 10, Burst: 1}, false)
	w.WriteConnections("{requestsPerSecond: 10, subscribersPerRequest: 2}")
	w.StartHost()
	e := w.Of("Deadline")
	e.Deadline = schemas.Duration(2 * time.Second)
	w.People("Deadline", 1, 80, 1)
	r := w.Done(w.Run(e))
	if took := r.FinishedAt.Sub(r.StartedAt); took < time.Duration(e.Deadline) {
		t.Fatalf("the upload took %s, which is no test of a deadline of %s", took, time.Duration(e.Deadline))
	}

	w.People("Deadline", 1, 80, 2)
	before := w.Requests("lists/subscribe")
	run := w.Start(e)
	w.Until("some requests are through", func() bool { return w.Requests("lists/subscribe") >= before+10 })
	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: http.StatusServiceUnavailable, Body: "html"}); err != nil {
		t.Fatal(err)
	}
	v := w.Watch(run)
	w.WaitsWith(v, schemas.ErrorDeadline, "it has failed for 2s, the export's deadline", "503")
	sent := v.Segments[0].Report.Upload.Sent
	if sent < 10 || sent >= 80 {
		t.Errorf("waits after %d were sent", sent)
	}
	w.Sandbox.ClearFaults()
	r = w.Done(w.Answer(v, schemas.UpdateRetry))
	if r.Upload.Sent != 80 || r.Upload.Requests-r.Upload.Failed-r.Upload.Throttled != 40 {
		t.Errorf("40 requests of 2 profiles each, and it says %+v", r.Upload)
	}
}

// TestAConnectionThatNobodyServesIsReported takes minutes: a queue is not held to be
// deserted for less.
func TestAConnectionThatNobodyServesIsReported(t *testing.T) {
	if os.Getenv(world.ChaosEnv) == "" {
		t.Skipf("it takes minutes; set %s", world.ChaosEnv)
	}
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	w.People("Gone", 1, 0, 1)
	e := w.Of("Gone")
	v := w.Run(e)
	w.WaitsWith(v, schemas.ErrorGuardrail)
	w.Host.Stop()
	text, err := os.ReadFile(w.Path("connections.yaml"))
	if err == nil {
		err = os.WriteFile(w.Path("connections.yaml"), bytes.ReplaceAll(text, []byte("name: sandbox"), []byte("name: another")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.StartHost()
	if _, err := w.Operator.Answer(t.Context(), v, schemas.UpdateApprove, v.Waits()[0].ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // longer than the other tests' patience
	defer cancel()
	again := func(v operate.View) bool { return len(v.Waits()) > 0 && v.Waits()[0].Type == schemas.ErrorNoWorker }
	for !again(v) && ctx.Err() == nil {
		if v, err = w.Operator.Look(ctx, v.Run); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	w.WaitsWith(v, schemas.ErrorNoWorker, "no worker serves connection \"sandbox\"")
	w.WriteConnections("{}")
	w.Done(w.Answer(v, schemas.UpdateRetry))
}
