package commands

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestTheStarter runs, follows, answers and cancels as an operator would.
func TestTheStarter(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	s := w.Starter()
	expected := w.Generated(1000)
	run := []string{"run", "--segment", "High-value", "--source", w.Path("segments"), "--email", "EmailAddress", "--connection", "sandbox"}

	s.Contains(s.Want(0, run...), "High-value: done", "Rejected rows: starter rejects")
	if l := w.List("High-value"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}
	s.Contains(s.Want(0, "status", "High-value"), "done")
	var v operate.View
	if err := json.Unmarshal([]byte(s.Want(0, "status", "High-value", "-o", "json")), &v); err != nil || v.State != schemas.StateDone {
		t.Errorf("%+v, %v", v, err)
	}
	s.Contains(s.Want(0, "status", v.Run.RunID), "High-value")
	rejects(s, v.Run.RunID, v.Segments[0].Report)
	s.Contains(s.Want(0, "report", v.Run.RunID, "--out", "-"), "Export “High-value”", "1,000", "unknown_tld", "Requests a second", s.Path("segments"))
	saved := s.Want(0, "report", "High-value", "--out", s.Path("report.html"))
	if page, err := os.ReadFile(strings.TrimSpace(saved)); err != nil || !strings.HasPrefix(string(page), "<!DOCTYPE html>") {
		t.Errorf("%q: %v", saved, err)
	}

	w.Key(true)
	s.Contains(s.Want(3, run...), "waits at", "starter retry \"High-value\"")
	s.Contains(s.Want(0, "abort", "High-value", "--wait", waitOf(s, "High-value")), `abort: "High-value" ends`)
	w.Until("the run has ended", func() bool { status, _, _ := s.Call("status", "High-value"); return status == 1 })
	s.Contains(s.Want(1, "status", "High-value"), "aborted")

	s.Want(0, append(run, "--detach")...)
	w.Until("the run waits", func() bool { status, _, _ := s.Call("status", "High-value"); return status == 3 })
	s.Contains(s.Want(0, append(run, "--detach")...), "joins it")
	w.Key(false)
	s.Contains(s.Want(0, "retry", "High-value", "-o", "json", "--wait", waitOf(s, "High-value")), `"answer": "retry"`, `"took"`)
	w.Until("the run is done", func() bool {
		status, out, _ := s.Call("status", "High-value")
		return status == 0 && strings.Contains(out, "done")
	})

	if err := w.Sandbox.AddFaults(sandbox.Fault{Kind: "slow", Delay: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	// Until the run that is done has written its report, a full one can't start.
	w.Until("a run starts", func() bool { status, _, _ := s.Call(append(run, "--detach", "--full")...); return status == 0 })
	w.Until("a segment is under way", func() bool { _, out, _ := s.Call("status", "High-value"); return strings.Contains(out, "│ running") })
	s.Want(0, "cancel", "High-value")
	w.Sandbox.ClearFaults()
	w.Until("the run is cancelled", func() bool {
		status, out, _ := s.Call("status", "High-value")
		return status == 1 && strings.Contains(out, "cancelled") && strings.Contains(out, "starter report")
	})
	w.NothingIsLeft()
}

// rejects reads the rejects in every format.
func rejects(s world.Starter, run string, r schemas.ExportReport) {
	s.T.Helper()
	var rows int64
	for _, n := range r.Rejected {
		rows += n
	}
	rows += r.Manifest.Duplicates
	table, err := csv.NewReader(strings.NewReader(s.Want(0, "rejects", run, "--format", "csv"))).ReadAll()
	if n := int64(len(table)) - 1; err != nil || n != rows {
		s.T.Errorf("%d rows of CSV (%v), want %d", n, err, rows)
	}
	lines := s.Want(0, "rejects", run, "-o", "json", "--reason", "no_tld")
	if n := int64(strings.Count(lines, "\n")); n != r.Rejected[schemas.ReasonNoTLD] || n == 0 {
		s.T.Errorf("%d rows of JSON, want %d:\n%s", n, r.Rejected[schemas.ReasonNoTLD], lines)
	}
	s.Contains(s.Want(0, "rejects", run, "--limit", "3"), "EmailAddress", "message")
	s.Contains(s.Want(2, "rejects", run, "--segment", "Nope"), "no segment")
}

func TestTheStarterRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	s := (&world.World{T: t}).Starter()
	for _, c := range []struct{ args, message string }{
		{"frobnicate", "unknown command"},
		{"run", "--segment, --source, --connection, --email"},
		{"run --frobnicate", "--frobnicate"},
		{"report", "one RUN"},
		{"status a b", "at most one RUN"},
		{"status a -o xml", "table, json or yaml"},
		{"rejects a --format xml", "table, csv, json or yaml"},
		{"run --segment a --source b --connection c --email d --all-fields --field e", "exclude each other"},
	} {
		var out bytes.Buffer
		cmd := exec.Command(s.Bin, strings.Fields(c.args)...)
		cmd.Stderr = &out
		cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS=127.0.0.1:1")
		_ = cmd.Run()
		if status := cmd.ProcessState.ExitCode(); status != 2 || !strings.Contains(out.String(), c.message) {
			t.Errorf("starter %s: status %d\n%s", c.args, status, &out)
		}
	}
}

// TestCtrlCLeavesTheRunAlone interrupts a starter that follows a run.
func TestCtrlCLeavesTheRunAlone(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	s := w.Starter()
	expected := w.Generated(1000)
	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "hang"}); err != nil {
		t.Fatal(err)
	}
	cmd := s.Command("run", "--segment", "Left", "--source", w.Path("segments"), "--email", "EmailAddress", "--connection", "sandbox")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Until("the upload hangs", func() bool { return w.Requests("lists") > 0 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "the run goes on") {
		t.Fatalf("%v: %s", err, &out)
	}
	w.Sandbox.ClearFaults()
	w.Until("the run is done", func() bool {
		status, out, _ := s.Call("status", "Left")
		return status == 0 && strings.Contains(out, "done")
	})
	if l := w.List("Left"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}
}

// waitOf is the one wait of an export's run.
func waitOf(s world.Starter, export string) string {
	s.T.Helper()
	var v operate.View
	_, out, _ := s.Call("status", export, "-o", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Waits()) != 1 {
		s.T.Fatalf("it waits for %+v, %v", v.Waits(), err)
	}
	return v.Waits()[0].ID
}
