package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/sandbox"
)

// buildWorker builds the worker as it is deployed.
func buildWorker(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "worker")
	cmd := exec.Command("go", "build", "-o", bin, "iterable-segment-export/worker")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return bin
}

// process starts the worker as a process of its own; its log goes to a file.
func (w *world) process(bin, log string) *exec.Cmd {
	w.t.Helper()
	out, err := os.Create(w.path(log))
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(bin)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(),
		"TEMPORAL_ADDRESS="+w.stack.FrontendAddr(), "CONNECTIONS_FILE="+w.path("connections.yaml"),
		"DATA_ROOT="+w.path("data"), "TEMP_DIR="+w.t.TempDir(), "STOP_TIMEOUT=5s", "LOG_LEVEL=warn")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// until waits for something to become true.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not so: %s", what)
		}
	}
}

// TestAKilledWorkerLosesNothing kills the worker's process in mid-upload and
// starts another one, which goes on where the first one was.
func TestAKilledWorkerLosesNothing(t *testing.T) {
	w := newWorld(t, sandbox.Config{Rate: 40, Latency: 50 * time.Millisecond}, false)
	bin := buildWorker(t)
	w.writeConnections("{requestsPerSecond: 40, subscribersPerRequest: 50}")
	expected := w.generated(10_000)
	first := w.process(bin, "first.log")
	run := w.start(w.export("Killed", "EmailAddress"))
	w.until("some requests are through", func() bool { return w.requests("lists/subscribe") >= 60 })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	before := w.requests("lists/subscribe")
	w.process(bin, "second.log")
	r := w.done(w.watch(run))
	if l := w.list("Killed"); l.Digest != expected.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
	}
	total := w.requests("lists/subscribe")
	if before >= total {
		t.Fatalf("the upload was over (%d of %d requests) before the worker was killed", before, total)
	}
	batches := int64(r.Manifest.AddBatches)
	const inFlight = 16 // the most that a worker has in flight over a connection
	if again := total - batches; again > inFlight {
		t.Errorf("%d of %d requests were sent again; at most %d were in flight", again, batches, inFlight)
	}
	w.nothingIsLeft()
	for _, log := range []string{"first.log", "second.log"} {
		if text, err := os.ReadFile(w.path(log)); err != nil || strings.Contains(string(text), "@") && strings.Contains(string(text), "example") {
			t.Errorf("%s: %v, or an address in it", log, err)
		}
	}
}
