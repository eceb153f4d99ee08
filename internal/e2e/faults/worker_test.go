package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
)

// TestAStoppedWorkerLosesNothing asks the worker's process to stop in mid-upload, and starts
// another one, which continues where the first one was. TestKills kills it.
func TestAStoppedWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	bin := world.Build(t, "worker")
	w := world.New(t, sandbox.Config{Rate: 40, Latency: 50 * time.Millisecond}, false)
	w.WriteConnections("{requestsPerSecond: 40, subscribersPerRequest: 50}")
	expected := w.Generated(10_000)
	first := w.Process(bin, "first.log")
	run := w.Start(w.Export("Interrupted", "EmailAddress"))
	w.Until("some requests are through", func() bool { return w.Requests("lists/subscribe") >= 60 })
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	w.Ended(first)
	before := w.Requests("lists/subscribe")
	w.Process(bin, "second.log")
	r := w.Done(w.Watch(run))
	if l := w.List("Interrupted"); l.Digest != expected.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
	}
	total, batches := w.Requests("lists/subscribe"), int64(r.Manifest.AddBatches)
	if before >= total {
		t.Fatalf("the upload was over (%d of %d requests) before the worker ended", before, total)
	}
	if total > batches {
		t.Errorf("%d of %d requests were sent again", total-batches, batches)
	}
	w.NothingIsLeft()
	logsNameNobody(w, "first.log", "second.log")
}

// logsNameNobody fails the test if an address is in a log.
func logsNameNobody(w *world.World, logs ...string) {
	w.T.Helper()
	for _, log := range logs {
		text, err := os.ReadFile(w.Path(log))
		if err != nil {
			w.T.Fatal(err)
		}
		for _, domain := range []string{"@example.", "@mail.example.", "@shop.example."} {
			if strings.Contains(strings.ToLower(string(text)), domain) {
				w.T.Errorf("%s has an address in it", log)
			}
		}
	}
}

func TestAWorkerWithoutTemporalSaysSo(t *testing.T) {
	t.Parallel()
	bin := world.Build(t, "worker")
	ctx, cancel := context.WithTimeout(t.Context(), world.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin)
	connections := filepath.Join(t.TempDir(), "connections.yaml")
	if err := os.WriteFile(connections, []byte("connections: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS=127.0.0.1:1", "DIAL_TIMEOUT=3s", "CONNECTIONS_FILE="+connections, "DATA_ROOT="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "127.0.0.1:1") || !strings.Contains(string(out), "TEMPORAL_ADDRESS") ||
		!strings.Contains(string(out), "trying again") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestAWorkerWaitsForItsNamespace starts a worker before its namespace exists, as a deployment
// does where the namespace is created from a worker's pod.
func TestAWorkerWaitsForItsNamespace(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, false)
	w.WriteConnections("{}")
	cmd := exec.Command(world.Build(t, "worker"))
	cmd.Env = []string{"TEMPORAL_NAMESPACE=exports", "LOG_LEVEL=info"}
	w.ProcessOf("early.log", cmd)
	says := func(words string) func() bool {
		return func() bool {
			log, err := os.ReadFile(w.Path("early.log"))
			return err == nil && strings.Contains(string(log), words)
		}
	}
	w.Until("the worker says how to create the namespace", says(`starter doctor --fix --namespace \"exports\"`))
	s := w.Starter()
	_, _, said := s.Call("doctor", "--fix", "--namespace", "exports") // its status says whether the worker was already ready
	s.Contains(said, "Created the namespace exports")
	w.Until("the worker is ready", says("worker ready"))
}
