package runs

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// sweep sweeps as if so much time had gone by.
func sweep(w *world.World, later time.Duration) schemas.SweepResult {
	w.T.Helper()
	s := w.Host.Sweeper()
	s.Now = func(context.Context) (time.Time, error) { return time.Now().Add(later), nil }
	done, err := s.Sweep(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return done
}

// staged counts the files that runs of an export have staged.
func staged(w *world.World, export string) int {
	w.T.Helper()
	files, err := w.Root.List(w.T.Context(), dataroot.ExportDirs("sandbox", export)[0])
	if err != nil {
		w.T.Fatal(err)
	}
	return len(files)
}

func put(w *world.World, key, text string) string {
	w.T.Helper()
	if err := w.Root.Write(w.T.Context(), key, []byte(text)); err != nil {
		w.T.Fatal(err)
	}
	return key
}

// TestASweepDeletesWhatDeadRunsLeft terminates a run in mid-upload, leaves another
// one waiting, and lets time go by.
func TestASweepDeletesWhatDeadRunsLeft(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	const hour, day = time.Hour, 24 * time.Hour

	w.People("Waiting", 1, 0, 1)
	waiting := w.Run(w.Of("Waiting"))
	w.WaitsWith(waiting, schemas.ErrorGuardrail)

	w.People("Killed", 1, 10, 1, world.Invalid(1)...)
	before := w.Run(w.Of("Killed"))
	w.Done(before)
	w.People("Killed", 1, 15, 1)
	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "hang", Apply: true}); err != nil {
		t.Fatal(err)
	}
	run := w.Start(w.Of("Killed"))
	w.Until("the request is made", func() bool { return len(w.Members("Killed")) == 15 })
	for _, id := range []string{schemas.SegmentWorkflowID("Killed", "Killed"), run.WorkflowID} {
		if err := w.Client.TerminateWorkflow(t.Context(), id, "", "test"); err != nil {
			t.Fatal(err)
		}
	}
	w.Host.Stop() // or the upload would go on until its next heartbeat
	w.Sandbox.ClearFaults()
	w.StartHost()

	lost := schemas.RunRef{Connection: "sandbox", Export: "Lost", RunID: "0192d0a0-0000-7000-8000-000000000000", Segment: "Lost"}
	origin, err := json.Marshal(lost)
	if err != nil {
		t.Fatal(err)
	}
	put(w, path.Join(dataroot.StagingDir(lost), "run.json"), string(origin))
	put(w, path.Join(dataroot.StagingDir(lost), dataroot.AddsFile), "somebody")
	put(w, "staging/late/run/segment/pace/1.json", "[]")
	unfinished := filepath.Join(w.DataRoot, filepath.FromSlash(dataroot.SnapshotDir("sandbox", "Killed", "Killed")), "snapshot-000000000001.arrow.0123456789abcdef.tmp")
	if err := os.WriteFile(unfinished, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}

	if done := sweep(w, 5*time.Minute); done != (schemas.SweepResult{}) {
		t.Errorf("too early: %+v", done)
	}
	if done := sweep(w, hour); done.Staged != 1 || staged(w, "Killed") != 0 || staged(w, "Lost") == 0 {
		t.Errorf("after an hour: %+v", done)
	}
	left, err := w.Root.List(t.Context(), dataroot.SnapshotDir("sandbox", "Killed", "Killed"))
	if err != nil || slices.ContainsFunc(left, func(o storage.Object) bool { return strings.HasPrefix(path.Base(o.Name), "pending-") }) {
		t.Errorf("the dead run is still unfinished, %v", err)
	}
	if done := sweep(w, 25*hour); done.Staged != 2 || done.Unfinished != 1 || staged(w, "Lost")+staged(w, "late") != 0 {
		t.Errorf("after a day: %+v, %d of Lost, %d of late", done, staged(w, "Lost"), staged(w, "late"))
	}
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("half a snapshot is left")
	}

	rejects, report := before.Segments[0].Report.Rejects, before.Report
	if rejects == "" || report == "" {
		t.Fatalf("%+v", before)
	}
	has := func(key string) bool {
		_, err := w.Root.Read(t.Context(), key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	if sweep(w, 29*day); !has(rejects) {
		t.Error("the rejects are gone too early")
	}
	if done := sweep(w, 31*day); has(rejects) || !has(report) || done.Rejects == 0 {
		t.Errorf("after a month: %+v", done)
	}
	text, err := os.ReadFile(w.Path("connections.yaml"))
	if err == nil {
		err = os.WriteFile(w.Path("connections.yaml"), append([]byte("retention: {reportDays: 60}\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Until("a shorter time is in force", func() bool { sweep(w, 61*day); return !has(report) })
	if staged(w, "Waiting") == 0 {
		t.Error("what a run needs that waits is gone")
	}
	w.Done(w.Answer(waiting, schemas.UpdateApprove))

	// Those whom the dead run has sent, and had no answer for, stay: others may have put
	// them there.
	w.People("Killed", 1, 8, 1)
	v := w.Run(w.Of("Killed"))
	if v.State == schemas.StateWaiting {
		v = w.Answer(v, schemas.UpdateApprove)
	}
	r := w.Done(v)
	if got := strings.Join(w.Members("Killed"), " "); got != strings.Join(slices.Concat(world.Persons(1, 8), world.Persons(11, 15)), " ") {
		t.Errorf("on the list: %s", got)
	}
	if r.Manifest.Unconfirmed != 5 || r.Manifest.Members != 10 || !strings.Contains(strings.Join(r.Warnings, "; "), "5 profiles that left the segment may be on the list") {
		t.Errorf("%+v, %q", r.Manifest, r.Warnings)
	}
	w.NothingIsLeft()
}

// TestTheSweepIsOneScheduleForAllWorkers starts two workers, and lets the schedule start the
// workflow now.
func TestTheSweepIsOneScheduleForAllWorkers(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true)
	w.StartHost()
	schedule := w.Client.ScheduleClient().GetHandle(t.Context(), schemas.SweepID)
	w.Until("the sweep is scheduled", func() bool { _, err := schedule.Describe(t.Context()); return err == nil })
	if err := schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}); err != nil {
		t.Fatal(err)
	}
	var started []client.ScheduleActionResult
	w.Until("the sweep starts", func() bool {
		d, err := schedule.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		started = d.Info.RecentActions
		return len(started) > 0
	})
	first := started[0].StartWorkflowResult
	var done schemas.SweepResult
	if err := w.Client.GetWorkflow(t.Context(), first.WorkflowID, first.FirstExecutionRunID).Get(t.Context(), &done); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Root.Read(t.Context(), dataroot.SweptKey); err != nil {
		t.Errorf("the data root was not swept: %v", err)
	}
	all, err := w.Client.ScheduleClient().List(t.Context(), client.ScheduleListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sweeps := 0
	for all.HasNext() {
		s, err := all.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s.WorkflowType.Name == schemas.WorkflowSweep {
			sweeps++
		}
	}
	if sweeps != 1 {
		t.Errorf("%d schedules sweep", sweeps)
	}
}

// TestAResetRunKeepsWhatItStaged: it goes on under another run ID.
func TestAResetRunKeepsWhatItStaged(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	w.People("Reset", 1, 0, 1)
	v := w.Run(w.Of("Reset"))
	w.WaitsWith(v, schemas.ErrorGuardrail)
	last := int64(0)
	for events := w.Client.GetWorkflowHistory(t.Context(), v.Run.WorkflowID, v.Run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.EventType == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			last = e.EventId
		}
	}
	out, err := w.Client.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &common.WorkflowExecution{WorkflowId: v.Run.WorkflowID, RunId: v.Run.RunID},
		Reason: "test", WorkflowTaskFinishEventId: last, RequestId: "once",
	})
	if err != nil {
		t.Fatal(err)
	}
	if staged(w, "Reset") == 0 {
		t.Fatal("nothing is staged")
	}
	if done := sweep(w, time.Hour); done.Staged != 0 || staged(w, "Reset") == 0 {
		t.Errorf("%+v, and %d files are staged", done, staged(w, "Reset"))
	}
	reset := v.Run
	reset.RunID = out.RunId
	w.Done(w.Answer(w.Watch(reset), schemas.UpdateApprove))
	w.NothingIsLeft()
}
