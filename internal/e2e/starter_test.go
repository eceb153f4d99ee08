package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// starter is the command line of an operator.
type starter struct {
	*world
	bin string
}

func (s starter) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+s.stack.FrontendAddr(), "DATA_ROOT="+s.dataRoot)
	return cmd
}

// call runs a command line and gives its exit status and what it wrote.
func (s starter) call(args ...string) (status int, out, errOut string) {
	s.t.Helper()
	var o, e bytes.Buffer
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// want runs a command line that has to end with a status, and gives its output.
func (s starter) want(status int, args ...string) string {
	s.t.Helper()
	got, out, errOut := s.call(args...)
	if got != status {
		s.t.Fatalf("starter %s: status %d, want %d\n%s\n%s", strings.Join(args, " "), got, status, out, errOut)
	}
	return out + errOut
}

func (s starter) contains(text string, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.t.Errorf("lacks %q:\n%s", part, text)
		}
	}
}

// TestTheStarter runs, follows, answers and cancels as an operator would.
func TestTheStarter(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	s := starter{w, build(t, "starter")}
	expected := w.generated(1000)
	run := []string{"run", "--segment", "High-value", "--source", w.path("segments"), "--email", "EmailAddress", "--connection", "sandbox"}

	s.contains(s.want(0, run...), "High-value: done", "Rejected rows: starter rejects")
	if l := w.list("High-value"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}
	s.contains(s.want(0, "status", "High-value"), "done")
	var v operate.View
	if err := json.Unmarshal([]byte(s.want(0, "status", "High-value", "-o", "json")), &v); err != nil || v.State != schemas.StateDone {
		t.Errorf("%+v, %v", v, err)
	}
	s.contains(s.want(0, "status", v.Run.RunID), "High-value")
	s.rejects(v.Run.RunID, v.Segments[0].Report)
	s.contains(s.want(0, "report", v.Run.RunID, "--out", "-"), "Export «High-value»", "1,000", "unknown_tld", "Requests a second", s.path("segments"))
	saved := s.want(0, "report", "High-value", "--out", s.path("report.html"))
	if page, err := os.ReadFile(strings.TrimSpace(saved)); err != nil || !strings.HasPrefix(string(page), "<!DOCTYPE html>") {
		t.Errorf("%q: %v", saved, err)
	}

	w.key(true)
	s.contains(s.want(3, run...), "waits at", "starter retry \"High-value\"")
	s.contains(s.want(1, "approve", "High-value"), "waits for retry or abort, not for approve")
	s.contains(s.want(0, "abort", "High-value"), "abort: «High-value» ends")
	w.until("the run has ended", func() bool { status, _, _ := s.call("status", "High-value"); return status == 1 })
	s.contains(s.want(1, "status", "High-value"), "aborted")

	s.want(0, append(run, "--detach")...)
	w.until("the run waits", func() bool { status, _, _ := s.call("status", "High-value"); return status == 3 })
	s.contains(s.want(0, append(run, "--detach")...), "joins it")
	w.key(false)
	s.contains(s.want(0, "retry", "High-value", "-o", "json"), `"answer": "retry"`, `"took"`)
	w.until("the run is done", func() bool {
		status, out, _ := s.call("status", "High-value")
		return status == 0 && strings.Contains(out, "done")
	})

	if err := w.sandbox.AddFaults(sandbox.Fault{Kind: "slow", Delay: sandbox.Duration(30 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	// Until the run that is done has written its report, a start joins it.
	w.until("a run starts", func() bool { return !strings.Contains(s.want(0, append(run, "--detach", "--full")...), "joins it") })
	w.until("a segment is under way", func() bool { _, out, _ := s.call("status", "High-value"); return strings.Contains(out, "│ running") })
	s.want(0, "cancel", "High-value")
	w.sandbox.ClearFaults()
	w.until("the run is cancelled", func() bool {
		status, out, _ := s.call("status", "High-value")
		return status == 1 && strings.Contains(out, "cancelled") && strings.Contains(out, "starter report")
	})
	w.nothingIsLeft()
}

// rejects reads the rejects in every format.
func (s starter) rejects(run string, r schemas.ExportReport) {
	s.t.Helper()
	var rows int64
	for _, n := range r.Rejected {
		rows += n
	}
	rows += r.Manifest.Duplicates
	table, err := csv.NewReader(strings.NewReader(s.want(0, "rejects", run, "--format", "csv"))).ReadAll()
	if n := int64(len(table)) - 1; err != nil || n != rows {
		s.t.Errorf("%d rows of CSV (%v), want %d", n, err, rows)
	}
	lines := s.want(0, "rejects", run, "-o", "json", "--reason", "no_tld")
	if n := int64(strings.Count(lines, "\n")); n != r.Rejected[schemas.ReasonNoTLD] || n == 0 {
		s.t.Errorf("%d rows of JSON, want %d:\n%s", n, r.Rejected[schemas.ReasonNoTLD], lines)
	}
	s.contains(s.want(0, "rejects", run, "--limit", "3"), "EmailAddress", "message")
	s.contains(s.want(2, "rejects", run, "--segment", "Nope"), "no segment")
}

func TestTheStarterRefusesWrongUsage(t *testing.T) {
	s := starter{&world{t: t}, build(t, "starter")}
	for _, c := range []struct{ args, message string }{
		{"frobnicate", "no command"},
		{"run", "--segment, --source, --connection, --email"},
		{"run --frobnicate", "--frobnicate"},
		{"status", "one RUN"},
		{"status a b", "one RUN"},
		{"status a -o xml", "table or json"},
		{"rejects a --format xml", "table, csv or json"},
		{"run --segment a --source b --connection c --email d --all-fields --field e", "exclude each other"},
	} {
		var out bytes.Buffer
		cmd := exec.Command(s.bin, strings.Fields(c.args)...)
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
	w := newWorld(t, sandbox.Config{}, true)
	s := starter{w, build(t, "starter")}
	expected := w.generated(1000)
	if err := w.sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "hang"}); err != nil {
		t.Fatal(err)
	}
	cmd := s.command("run", "--segment", "Left", "--source", w.path("segments"), "--email", "EmailAddress", "--connection", "sandbox")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.until("the upload hangs", func() bool { return w.requests("lists") > 0 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "the run goes on") {
		t.Fatalf("%v: %s", err, &out)
	}
	w.sandbox.ClearFaults()
	w.until("the run is done", func() bool {
		status, out, _ := s.call("status", "Left")
		return status == 0 && strings.Contains(out, "done")
	})
	if l := w.list("Left"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}
}
