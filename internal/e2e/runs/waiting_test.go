package runs

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestWhatARetryCannotCureWaits goes through the troubles that an operator has to
// see to, one after the other in the same world.
func TestWhatARetryCannotCureWaits(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	expected := w.Generated(500)

	t.Run("unknown connection", func(t *testing.T) {
		e := w.Export("A", "EmailAddress")
		e.Connection = "sandbx"
		w.In(t).WaitsFor(e, schemas.ErrorUnknownConnection, "sandbx", "sandbox")(schemas.UpdateAbort)
	})
	t.Run("revoked key", func(t *testing.T) {
		w := w.In(t)
		w.Key(true)
		answer := w.WaitsFor(w.Export("B", "EmailAddress"), schemas.ErrorKeyRejected, "\"sandbox\"")
		w.Key(false)
		answer(schemas.UpdateRetry)
		if l := w.List("B"); l.Digest != expected.Digest {
			t.Errorf("list %+v", l)
		}
	})
	t.Run("no such column", func(t *testing.T) {
		w.In(t).WaitsFor(w.Export("C", "Mail"), schemas.ErrorColumn, "Mail", "EmailAddress")(schemas.UpdateAbort)
	})
	t.Run("no such file", func(t *testing.T) {
		e := w.Export("D", "EmailAddress")
		e.Segments[0].Source = w.Path("segments/none.parquet")
		w.In(t).WaitsFor(e, schemas.ErrorSegmentNotFound, "none.parquet")(schemas.UpdateAbort)
	})
	t.Run("source not allowed", func(t *testing.T) {
		e := w.Export("E", "EmailAddress")
		e.Segments[0].Source = w.Path("segments") + "/../connections.yaml"
		w.In(t).WaitsFor(e, schemas.ErrorSourceNotAllowed, "allowedSources")(schemas.UpdateAbort)
	})
	t.Run("twin lists", func(t *testing.T) {
		w := w.In(t)
		first, second := w.AddList("F", ""), w.AddList("F", "")
		e := w.Export("F", "EmailAddress")
		w.WaitsFor(e, schemas.ErrorListAmbiguous, "2 lists", "listId")(schemas.UpdateAbort)
		e.Segments[0].ListID = second
		if r := w.Done(w.Run(e)); r.ListID != second || r.ListCreated {
			t.Errorf("filled list %d, not %d (beside %d)", r.ListID, second, first)
		}
	})
	t.Run("a list that is not Standard", func(t *testing.T) {
		w := w.In(t)
		w.AddList("G", "Dynamic")
		w.WaitsFor(w.Export("G", "EmailAddress"), schemas.ErrorListUnusable, "Dynamic")(schemas.UpdateAbort)
	})
	t.Run("not a segment", func(t *testing.T) {
		w := w.In(t)
		file := filepath.Join(w.Path("segments"), "extra.parquet")
		if err := os.WriteFile(file, []byte("PAR1 this is none PAR1"), 0o600); err != nil {
			t.Fatal(err)
		}
		answer := w.WaitsFor(w.Export("H", "EmailAddress"), schemas.ErrorSegmentUnreadable, "extra.parquet")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		answer(schemas.UpdateRetry)
	})
	w.NothingIsLeft()
}

// TestAStoppedRunSaysWhatItSent stops an upload that is under way.
func TestAStoppedRunSaysWhatItSent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Rate: 10}, false)
	w.WriteConnections("{requestsPerSecond: 10, subscribersPerRequest: 10}")
	w.StartHost()
	w.People("Stopped", 1, 2000, 1)
	run := w.Start(w.Of("Stopped"))
	w.Until("people are on the list", func() bool { return w.Requests("lists/subscribe") > 5 })
	if err := w.Operator.Cancel(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	v := w.Watch(run)
	if v.State != schemas.StateCancelled {
		t.Fatalf("%+v", v)
	}
	if sent, on := v.Segments[0].Report.Upload.Sent, w.List("Stopped").Size; sent == 0 || sent != int64(on) {
		t.Errorf("reported as sent %d, on the list %d", sent, on)
	}
}

// TestRemovalWaitsForAClosingSegment removes an export whose run was terminated, while its
// segment still writes its report: the removal is refused, and the next one leaves no file.
func TestRemovalWaitsForAClosingSegment(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	closing, mayClose := make(chan struct{}), make(chan struct{})
	reached := sync.OnceFunc(func() { close(closing) })
	w.Root.Around = func(_ context.Context, key string, check, do func() error) error {
		if path.Base(key) == dataroot.ReportFile {
			reached()
			<-mayClose
		}
		if err := check(); err != nil {
			return err
		}
		return do()
	}
	w.StartHost()
	w.People("Closing", 1, 0, 1)
	e := w.Of("Closing")
	v := w.Run(e)
	w.WaitsWith(v, schemas.ErrorGuardrail)
	if err := w.Client.TerminateWorkflow(t.Context(), v.Run.WorkflowID, v.Run.RunID, "the export is to be removed"); err != nil {
		t.Fatal(err)
	}
	<-closing
	if _, err := w.Operator.RemoveUnapplied(t.Context(), e, false); !errors.Is(err, operate.ErrUnderWay) || !strings.Contains(err.Error(), `segment "Closing" is about to end`) {
		t.Errorf("removed beside the closing segment: %v", err)
	}
	close(mayClose)
	w.Until("the export is removed", func() bool {
		_, err := w.Operator.RemoveUnapplied(t.Context(), e, false)
		return err == nil
	})
	_ = w.Client.GetWorkflow(t.Context(), schemas.SegmentWorkflowID(e.Name, e.Name), "").Get(t.Context(), nil) // it was cancelled
	w.NobodyIsLeft()
}
