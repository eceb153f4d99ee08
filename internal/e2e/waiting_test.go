package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// generated writes a segment, and gives what is expected of it.
func (w *world) generated(rows int64) generate.Expected {
	w.t.Helper()
	return w.churned(rows, 0)
}

// churned writes the segment anew, with a share of its people replaced by others.
func (w *world) churned(rows int64, churn float64) generate.Expected {
	w.t.Helper()
	expected, err := generate.Segment(w.t.Context(), generate.Options{
		Rows: rows, Out: w.path("segments"), Format: "parquet", Files: 1, Bad: 0.02, Seed: 3, Churn: churn,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return expected
}

// waitsFor runs an export and checks what it waits for.
func (w *world) waitsFor(e schemas.Export, kind schemas.ErrorType, message ...string) func(answer string) {
	w.t.Helper()
	v := w.run(e)
	waiting := w.waiting(v)
	if waiting.Type != kind {
		w.t.Fatalf("waits for %s: %s; want %s", waiting.Type, waiting.Message, kind)
	}
	for _, m := range message {
		if !strings.Contains(waiting.Message, m) {
			w.t.Errorf("waits with %q, which lacks %q", waiting.Message, m)
		}
	}
	return func(answer string) {
		w.t.Helper()
		v = w.answer(v, answer)
		want := schemas.StateDone
		if answer == schemas.UpdateAbort {
			want = schemas.StateAborted
		}
		if v.State != want {
			w.t.Fatalf("after %s the run is %s: %+v", answer, v.State, v)
		}
	}
}

// TestWhatARetryCannotCureWaits goes through the troubles that an operator has to
// see to, one after the other in the same world.
func TestWhatARetryCannotCureWaits(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	expected := w.generated(500)

	t.Run("unknown connection", func(t *testing.T) {
		e := w.export("A", "EmailAddress")
		e.Connection = "sandbx"
		w.in(t).waitsFor(e, schemas.ErrorUnknownConnection, "sandbx", "sandbox")(schemas.UpdateAbort)
	})
	t.Run("revoked key", func(t *testing.T) {
		w := w.in(t)
		w.key(true)
		answer := w.waitsFor(w.export("B", "EmailAddress"), schemas.ErrorKeyRejected, "«sandbox»")
		w.key(false)
		answer(schemas.UpdateRetry)
		if l := w.list("B"); l.Digest != expected.Digest {
			t.Errorf("list %+v", l)
		}
	})
	t.Run("no such column", func(t *testing.T) {
		w.in(t).waitsFor(w.export("C", "Mail"), schemas.ErrorColumn, "Mail", "EmailAddress")(schemas.UpdateAbort)
	})
	t.Run("no such file", func(t *testing.T) {
		e := w.export("D", "EmailAddress")
		e.Segments[0].Source = w.path("segments/none.parquet")
		w.in(t).waitsFor(e, schemas.ErrorSegmentNotFound, "none.parquet")(schemas.UpdateAbort)
	})
	t.Run("source not allowed", func(t *testing.T) {
		e := w.export("E", "EmailAddress")
		e.Segments[0].Source = w.path("segments") + "/../connections.yaml"
		w.in(t).waitsFor(e, schemas.ErrorSourceNotAllowed, "allowedSources")(schemas.UpdateAbort)
	})
	t.Run("twin lists", func(t *testing.T) {
		w := w.in(t)
		first, second := w.addList("F", ""), w.addList("F", "")
		e := w.export("F", "EmailAddress")
		w.waitsFor(e, schemas.ErrorListAmbiguous, "2 lists", "listId")(schemas.UpdateAbort)
		e.Segments[0].ListID = second
		if r := w.done(w.run(e)); r.ListID != second || r.ListCreated {
			t.Errorf("filled list %d, not %d (beside %d)", r.ListID, second, first)
		}
	})
	t.Run("a list that is not Standard", func(t *testing.T) {
		w := w.in(t)
		w.addList("G", "Dynamic")
		w.waitsFor(w.export("G", "EmailAddress"), schemas.ErrorListUnusable, "Dynamic")(schemas.UpdateAbort)
	})
	t.Run("not a segment", func(t *testing.T) {
		w := w.in(t)
		file := filepath.Join(w.path("segments"), "extra.parquet")
		if err := os.WriteFile(file, []byte("PAR1 this is none PAR1"), 0o600); err != nil {
			t.Fatal(err)
		}
		answer := w.waitsFor(w.export("H", "EmailAddress"), schemas.ErrorSegmentUnreadable, "extra.parquet")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		answer(schemas.UpdateRetry)
	})
	w.nothingIsLeft()
}

// in is the same world for a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

// key revokes the sandbox's key, or restores it.
func (w *world) key(revoked bool) {
	w.t.Helper()
	if err := w.sandbox.ChangeKey(sandbox.KeyChange{Key: sandbox.DefaultKey, Revoked: revoked}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) addList(name, kind string) int64 {
	w.t.Helper()
	id, err := w.sandbox.AddList(sandbox.NewList{Name: name, Type: kind})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// TestAStoppedRunSaysWhatItSent stops an upload that is under way.
func TestAStoppedRunSaysWhatItSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Config{Rate: 10}, false)
	w.writeConnections("{requestsPerSecond: 10, subscribersPerRequest: 10}")
	w.startHost()
	w.people("Stopped", 1, 2000, 1)
	run := w.start(w.of("Stopped"))
	w.until("people are on the list", func() bool { return w.requests("lists/subscribe") > 5 })
	if err := w.operator.Cancel(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	v := w.watch(run)
	if v.State != schemas.StateCancelled {
		t.Fatalf("%+v", v)
	}
	if sent, on := v.Segments[0].Report.Upload.Sent, w.list("Stopped").Size; sent == 0 || sent != int64(on) {
		t.Errorf("reported as sent %d, on the list %d", sent, on)
	}
}
