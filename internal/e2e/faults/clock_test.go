package faults

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
)

// jumps is put into time.Now of a worker: every two seconds its wall clock jumps,
// a day ahead, a day back behind the true time, and to the true time. Timers go by
// another clock, in reality as here.
const jumps = `	switch (mono - startNano) / 2e9 % 3 {
	case 1:
		sec += 26 * 3600
	case 2:
		sec -= 26 * 3600
	}
`

// buildJumping builds the worker with the clock that jumps.
func buildJumping(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const first = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	changed := strings.Replace(string(source), first, first+jumps, 1)
	if changed == string(source) {
		t.Skip("this version of Go has another time.Now")
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: filepath.Join(dir, "time.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"time.go": changed, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "worker")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "iterable-segment-export/worker")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return bin
}

// TestAClockThatJumps runs a worker whose machine's clock jumps, through throttled
// and failing requests and the death of the worker.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	if world.Earnest(true, false) {
		t.Skip("compiles everything anew, with another clock; set " + world.ChaosEnv)
	}
	bin := buildJumping(t)
	w, _ := world.NewApart(t, sandbox.Config{Rate: 20}, "{requestsPerSecond: 40, subscribersPerRequest: 20}")
	folders, expected := w.Versions(3000)
	if err := w.Sandbox.AddFaults(sandbox.Fault{Kind: "status", Share: 0.1, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	worker := w.Process(bin, "jumping.log")
	for i := range folders {
		before := w.Requests("lists/subscribe")
		run := w.Start(w.From(folders[i], "Clock"))
		w.Until("some requests are through", func() bool { return w.Requests("lists/subscribe") > before+5 })
		_ = worker.Process.Kill()
		_ = worker.Wait()
		worker = w.Process(bin, "jumping-again.log")
		began := time.Now()
		r := w.DoneWithin(run, world.Patience)
		t.Logf("version %d: done %.1f s after the kill; the report says it took from %s to %s", i+1, time.Since(began).Seconds(),
			r.StartedAt.Format(time.DateTime), r.FinishedAt.Format(time.DateTime))
		w.Holds("Clock", expected[i])
	}
	w.NothingIsLeft()
}
