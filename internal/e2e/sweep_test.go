package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/activities"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// sweep sweeps as if so much time had gone by.
func (w *world) sweep(later time.Duration) activities.Swept {
	w.t.Helper()
	s := w.host.Sweeper()
	s.Now = func(context.Context) (time.Time, error) { return time.Now().Add(later), nil }
	done, err := s.Sweep(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// staged counts the files that runs of an export have staged.
func (w *world) staged(export string) int {
	w.t.Helper()
	files, err := w.root.List(w.t.Context(), path.Join("staging", schemas.PathName(export)))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(files)
}

func (w *world) put(key, text string) string {
	w.t.Helper()
	if err := w.root.Write(w.t.Context(), key, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
	return key
}

// TestASweepDeletesWhatDeadRunsLeft terminates a run in mid-upload, leaves another
// one waiting, and lets time go by.
func TestASweepDeletesWhatDeadRunsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{}, true)
	const hour, day = time.Hour, 24 * time.Hour

	w.people("Waiting", 1, 0, 1)
	waiting := w.run(w.of("Waiting"))
	w.waitsWith(waiting, schemas.ErrorGuardrail)

	w.people("Killed", 1, 10, 1, invalid(1)...)
	before := w.run(w.of("Killed"))
	w.done(before)
	w.people("Killed", 1, 15, 1)
	if err := w.sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "hang", Apply: true}); err != nil {
		t.Fatal(err)
	}
	run := w.start(w.of("Killed"))
	w.until("the request is made", func() bool { return len(w.members("Killed")) == 15 })
	for _, id := range []string{schemas.SegmentWorkflowID("Killed", "Killed"), run.WorkflowID} {
		if err := w.client.TerminateWorkflow(t.Context(), id, "", "test"); err != nil {
			t.Fatal(err)
		}
	}
	w.host.Stop() // or the upload would go on until its next heartbeat
	w.sandbox.ClearFaults()
	w.startHost()

	lost := schemas.RunRef{Export: "Lost", RunID: "0192d0a0-0000-7000-8000-000000000000", Segment: "Lost"}
	origin, err := json.Marshal(lost)
	if err != nil {
		t.Fatal(err)
	}
	w.put(path.Join(schemas.StagingDir(lost), "run.json"), string(origin))
	w.put(path.Join(schemas.StagingDir(lost), schemas.AddsFile), "somebody")
	w.put("staging/late/run/segment/pace/1.json", "[]")
	unfinished := filepath.Join(w.dataRoot, filepath.Dir(w.snapshotKeyOf("Killed")), "snapshot.arrow.0123456789abcdef.tmp")
	if err := os.WriteFile(unfinished, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}

	if done := w.sweep(5 * time.Minute); done != (activities.Swept{}) {
		t.Errorf("too early: %+v", done)
	}
	if done := w.sweep(hour); done.Staged != 1 || w.staged("Killed") != 0 || w.staged("Lost") == 0 {
		t.Errorf("after an hour: %+v", done)
	}
	if pending, err := w.root.Exists(t.Context(), path.Join(schemas.SnapshotDir("Killed", "Killed"), "pending.json")); pending || err != nil {
		t.Errorf("the dead run is still unfinished, %v", err)
	}
	if done := w.sweep(25 * hour); done.Staged != 2 || done.Unfinished != 1 || w.staged("Lost")+w.staged("late") != 0 {
		t.Errorf("after a day: %+v, %d of Lost, %d of late", done, w.staged("Lost"), w.staged("late"))
	}
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("half a snapshot is left")
	}

	rejects, report := before.Segments[0].Report.Rejects, before.Report
	if rejects == "" || report == "" {
		t.Fatalf("%+v", before)
	}
	has := func(key string) bool {
		ok, err := w.root.Exists(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if w.sweep(29 * day); !has(rejects) {
		t.Error("the rejects are gone too early")
	}
	if done := w.sweep(31 * day); has(rejects) || !has(report) || done.Rejects == 0 {
		t.Errorf("after a month: %+v", done)
	}
	text, err := os.ReadFile(w.path("connections.yaml"))
	if err == nil {
		err = os.WriteFile(w.path("connections.yaml"), append([]byte("retention: {reportDays: 60}\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.until("a shorter time is in force", func() bool { w.sweep(61 * day); return !has(report) })
	if w.staged("Waiting") == 0 {
		t.Error("what a run needs that waits is gone")
	}
	w.done(w.answer(waiting, schemas.UpdateApprove))

	// Whoever the dead run had put on the list is known, and leaves with the rest.
	w.people("Killed", 1, 8, 1)
	v := w.run(w.of("Killed"))
	if v.State == schemas.StateWaiting {
		v = w.answer(v, schemas.UpdateApprove)
	}
	w.done(v)
	if got := strings.Join(w.members("Killed"), " "); got != strings.Join(persons(1, 8), " ") {
		t.Errorf("on the list: %s", got)
	}
	w.nothingIsLeft()
}

func (w *world) snapshotKeyOf(name string) string {
	return path.Join(schemas.SnapshotDir(name, name), schemas.SnapshotFile)
}
