package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
)

// TestWhatARefreshCosts counts the requests of a first run, of a run with nothing
// changed and of one with 1 % of the people changed, and prints how long each took
// and how much memory the worker had at its peak. COST_ROWS sets the size; with
// 1030928 rows, a million profiles are valid.
func TestWhatARefreshCosts(t *testing.T) {
	t.Parallel()
	rows := int64(20_000)
	if text := os.Getenv("COST_ROWS"); text != "" {
		var err error
		if rows, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal("COST_ROWS:", err)
		}
	}
	w := world.New(t, sandbox.Config{}, false)
	worker := w.Process(world.Build(t, "worker"), "worker.log")
	export := w.Export("Cost", "EmailAddress")
	for _, version := range []struct {
		name  string
		churn float64
	}{{"first run", 0}, {"nothing changed", 0}, {"1 % changed", 0.01}} {
		expected := w.Churned(rows, version.churn)
		subscribed, unsubscribed := w.Requests("lists/subscribe"), w.Requests("lists/unsubscribe")
		began := time.Now()
		r := w.Done(w.Run(export))
		took := time.Since(began)
		subscribed, unsubscribed = w.Requests("lists/subscribe")-subscribed, w.Requests("lists/unsubscribe")-unsubscribed
		t.Logf("%-16s %9d profiles, %5d subscribe and %3d unsubscribe requests, %6.1f s, worker's peak %s", version.name, expected.Valid, subscribed, unsubscribed, took.Seconds(), peak(worker.Process.Pid))
		const batch = 1000
		adds, removes := (r.Manifest.Adds+r.Manifest.Updates+batch-1)/batch, (r.Manifest.Removals+batch-1)/batch
		if subscribed > adds || unsubscribed > removes || adds > 0 && subscribed == 0 || removes > 0 && unsubscribed == 0 {
			t.Errorf("%s: %d and %d requests for %d and %d batches", version.name, subscribed, unsubscribed, adds, removes)
		}
		if version.name == "nothing changed" && subscribed+unsubscribed != 0 {
			t.Errorf("nothing changed, and %d requests were made", subscribed+unsubscribed)
		}
		if churned := int64(version.churn * float64(rows)); r.Manifest.Removals > churned || version.churn > 0 && r.Manifest.Adds > churned {
			t.Errorf("%s: %d adds and %d removals of %d people who changed", version.name, r.Manifest.Adds, r.Manifest.Removals, churned)
		}
		if w.List("Cost").Digest != expected.Digest {
			t.Errorf("%s: another list than expected", version.name)
		}
	}
}

// peak tells the most memory that a process was resident with, as Linux says, since
// it was asked before.
func peak(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // begins anew
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
