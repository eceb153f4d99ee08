package runs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// part writes a part of a segment as a job does that writes into a folder of its own
// first, and then moves the part to its place.
func part(w *world.World, folder string, n int) {
	w.T.Helper()
	made := filepath.Join(w.People(fmt.Sprintf("part-%d", n), n*10+1, n*10+10, 1), "rows.arrow")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.T.Fatal(err)
	}
	if err := os.Rename(made, filepath.Join(folder, fmt.Sprintf("part-%d.arrow", n))); err != nil {
		w.T.Fatal(err)
	}
}

// TestASlowWriterIsWaitedFor has a schedule fire while a job fills the segment's folder:
// nothing is sent before the job has committed, and then all is.
func TestASlowWriterIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Of("Slow")
	e.Fields = schemas.Fields{} // a scheduled run would ask about new ones
	folder := e.Segments[0].Source
	pending := filepath.Join(folder, "_temporary", "0")
	if err := os.MkdirAll(pending, 0o700); err != nil {
		t.Fatal(err)
	}
	part(w, folder, 0)
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	w.Trigger("Slow")
	var v operate.View
	w.Until("the run waits for its data", func() bool {
		var ok bool
		v, ok = w.Last("Slow")
		return ok && v.State == schemas.StateAwaitingData
	})
	if d := v.Segments[0].Data; d == nil || !strings.Contains(d.Why, "_temporary/0") || v.Segments[0].Step != schemas.StepAwaitData || len(v.Waits()) > 0 {
		t.Errorf("%+v", v.Segments[0])
	}
	history, err := w.Operator.History(t.Context(), "Slow", 1)
	if err != nil || history[0].State != schemas.StateAwaitingData {
		t.Errorf("%+v, %v", history, err)
	}
	for n := 1; n < 4; n++ {
		part(w, folder, n)
		if sent := w.Requests("lists/subscribe"); sent > 0 {
			t.Fatalf("%d requests before the job has committed", sent)
		}
	}
	if err := os.RemoveAll(filepath.Dir(pending)); err != nil {
		t.Fatal(err)
	}
	r := w.DoneWithin(v.Run, world.Patience)
	if have := w.Members("Slow"); !slices.Equal(have, world.Persons(1, 40)) || r.Info.Files != 4 {
		t.Errorf("%d members, %+v", len(have), r.Info)
	}
}

// TestFilesSettle has a schedule fire while a writer that leaves no sign adds a part each second:
// nothing is sent before the last part has settled, and then all is. The writer's clock is ahead,
// so a part counts as settled only if two looks, ten seconds apart, find nothing new: a machine
// that is so busy that no part is written for some seconds makes no difference.
func TestFilesSettle(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, true) // what Iterable does is not the point
	e := w.Of("Settling")
	e.Fields = schemas.Fields{} // a scheduled run would ask about new ones
	settle := schemas.Duration(3 * time.Second)
	e.Ready.Settle = &settle
	parts := 0
	write := func() {
		t.Helper()
		part(w, e.Segments[0].Source, parts)
		ahead := time.Now().Add(time.Hour)
		if err := os.Chtimes(filepath.Join(e.Segments[0].Source, fmt.Sprintf("part-%d.arrow", parts)), ahead, ahead); err != nil {
			t.Fatal(err)
		}
		parts++
		if sent := w.Requests("lists/subscribe"); sent > 0 {
			t.Fatalf("%d requests while part %d was written", sent, parts)
		}
	}
	write()
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	w.Trigger("Settling")
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var v operate.View
	for why := map[string]bool{}; len(why) < 2; { // looks that found different parts
		<-second.C
		write()
		if v, _ = w.Last("Settling"); v.State == schemas.StateAwaitingData {
			why[v.Segments[0].Data.Why] = true
		}
		if parts > 120 {
			t.Fatalf("the run does not wait for its data: %+v", v)
		}
	}
	if why := v.Segments[0].Data.Why; !strings.Contains(why, "no file may have changed for 3s (ready.settle)") {
		t.Error(why)
	}
	r := w.DoneWithin(v.Run, world.Patience)
	if have := len(w.Members("Settling")); have != 10*parts || r.Info.Files != parts {
		t.Errorf("%d members of %d parts, %+v", have, parts, r.Info)
	}
}

// TestOnlyWhatAJobHasCommittedIsSent leaves the files of a failed Databricks job beside
// those of one that has committed.
func TestOnlyWhatAJobHasCommittedIsSent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Of("Committed")
	folder := e.Segments[0].Source
	for n, name := range []string{"part-0-tid-11-x.arrow", "part-0-tid-22-y.arrow", "part-1-tid-22-y.arrow"} {
		part(w, folder, n)
		if err := os.Rename(filepath.Join(folder, fmt.Sprintf("part-%d.arrow", n)), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("_started_11", "")
	write("_started_22", "")
	write("_committed_22", `{"added": ["part-0-tid-22-y.arrow"], "removed": []}`)
	past := time.Now().Add(-time.Hour)
	for _, name := range []string{"_started_11", "part-0-tid-11-x.arrow"} {
		if err := os.Chtimes(filepath.Join(folder, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
	r := w.Done(w.Run(e))
	if have := w.Members("Committed"); !slices.Equal(have, world.Persons(11, 20)) || r.Info.Files != 1 {
		t.Errorf("%v, %+v", have, r.Info)
	}
}
