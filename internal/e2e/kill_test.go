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

// build builds a command of the program as it is deployed.
func build(t *testing.T, command string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), command)
	cmd := exec.Command("go", "build", "-o", bin, "iterable-segment-export/"+command)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the %s: %v\n%s", command, err, out)
	}
	return bin
}

// process starts the worker as a process of its own; its log goes to a file.
func (w *world) process(bin, log string) *exec.Cmd {
	w.t.Helper()
	return w.processOf(log, exec.Command(bin))
}

func (w *world) processOf(log string, cmd *exec.Cmd) *exec.Cmd {
	w.t.Helper()
	out, err := os.Create(w.path(log))
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(append(os.Environ(),
		"TEMPORAL_ADDRESS="+w.temporal, "CONNECTIONS_FILE="+w.path("connections.yaml"),
		"DATA_ROOT="+w.dataRoot, "TEMP_DIR="+w.t.TempDir(), "STOP_TIMEOUT=5s", "LOG_LEVEL=warn"), cmd.Env...)
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

// TestAStoppedWorkerLosesNothing ends the worker's process in mid-upload, by
// killing it or by asking it to stop, and starts another one, which goes on where
// the first one was.
func TestAStoppedWorkerLosesNothing(t *testing.T) {
	bin := build(t, "worker")
	for name, c := range map[string]struct {
		signal os.Signal
		again  int64 // the most requests that may be sent again
	}{
		"killed":  {os.Kill, 16}, // the most that a worker has in flight over a connection
		"stopped": {os.Interrupt, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandbox.Config{Rate: 40, Latency: 50 * time.Millisecond}, false)
			w.writeConnections("{requestsPerSecond: 40, subscribersPerRequest: 50}")
			expected := w.generated(10_000)
			first := w.process(bin, "first.log")
			run := w.start(w.export("Interrupted", "EmailAddress"))
			w.until("some requests are through", func() bool { return w.requests("lists/subscribe") >= 60 })
			if err := first.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			before := w.requests("lists/subscribe")
			w.process(bin, "second.log")
			r := w.done(w.watch(run))
			if l := w.list("Interrupted"); l.Digest != expected.Digest {
				t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
			}
			total, batches := w.requests("lists/subscribe"), int64(r.Manifest.AddBatches)
			if before >= total {
				t.Fatalf("the upload was over (%d of %d requests) before the worker ended", before, total)
			}
			if again := total - batches; again > c.again {
				t.Errorf("%d of %d requests were sent again, want at most %d", again, batches, c.again)
			}
			w.nothingIsLeft()
			w.logsNameNobody("first.log", "second.log")
		})
	}
}

// logsNameNobody fails the test if an address is in a log.
func (w *world) logsNameNobody(logs ...string) {
	w.t.Helper()
	for _, log := range logs {
		text, err := os.ReadFile(w.path(log))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, domain := range []string{"@example.", "@mail.example.", "@shop.example."} {
			if strings.Contains(strings.ToLower(string(text)), domain) {
				w.t.Errorf("%s has an address in it", log)
			}
		}
	}
}

func TestAWorkerWithoutTemporalSaysSo(t *testing.T) {
	cmd := exec.Command(build(t, "worker"))
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
