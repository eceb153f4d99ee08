package runs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// hears serves a webhook that fails at first, until the test's end. told waits for the message
// with that number.
func hears(t *testing.T, w *world.World) (url string, told func(n int) schemas.Message) {
	t.Helper()
	var mu sync.Mutex
	var heard []schemas.Message
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var m schemas.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		heard = append(heard, m)
	}))
	t.Cleanup(server.Close)
	w.Notify = notify.Options{Allowed: []string{server.URL}}
	return server.URL, func(n int) schemas.Message {
		t.Helper()
		w.Until("the webhook is called", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == n })
		return heard[n-1]
	}
}

// TestAPersonHearsOfARun has a run wait and go on, with a webhook that fails at
// first.
func TestAPersonHearsOfARun(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	url, told := hears(t, w)
	w.StartHost()
	w.Generated(500)
	export := w.Export("Told", "EmailAddress")
	export.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: url}, On: []string{schemas.EventWaiting, schemas.EventDone}}}
	w.Key(true)
	v := w.Run(export)
	w.Waiting(v)
	m := told(1)
	if m.Type != "run.waiting" || m.Data.Segment != "" || m.Data.RunID != v.Run.RunID || m.Data.Waiting.Type != schemas.ErrorKeyRejected ||
		!slices.Contains(m.Data.Commands, `starter retry "Told" --wait `+m.Data.Waiting.ID) {
		t.Errorf("%+v", m)
	}
	w.Key(false)
	w.Done(w.Answer(v, schemas.UpdateRetry))
	m = told(2)
	if m.Type != "run.done" || len(m.Data.Segments) != 1 || m.Data.Segments[0].Sent != 485 || !strings.HasPrefix(m.Data.Commands[0], "starter report") {
		t.Errorf("%+v", m)
	}
}

// TestAPersonHearsWhyAScheduledRunAsks has a scheduled run ask before it creates a field in
// Iterable, and the next one before it sends all profiles again because the snapshot is lost.
// The sandbox is fast, so that the list's size does not lag.
func TestAPersonHearsWhyAScheduledRunAsks(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{Fast: true}, false)
	url, told := hears(t, w)
	w.StartHost()
	w.People("Asks", 1, 3, 1)
	e := w.Of("Asks")
	e.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: url}, On: []string{schemas.EventWaiting, schemas.EventDone}}}
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	for i, why := range []string{
		"the field n would be created in Iterable, where a field can never be removed (newFields)",
		"the snapshot of list 1 is lost, so all 3 profiles would be sent again, which can start journeys in Iterable (fullRuns)",
	} {
		if i == 1 {
			if err := w.Root.DeletePrefix(t.Context(), dataroot.SnapshotDir("sandbox", "Asks", "Asks")); err != nil {
				t.Fatal(err)
			}
		}
		w.Trigger("Asks")
		m := told(2*i + 1)
		if m.Type != "run.waiting" || m.Data.Segment != "Asks" || m.Data.Waiting.Type != schemas.ErrorGuardrail || !strings.Contains(m.Data.Message, why) {
			t.Errorf("%+v, want %q", m, why)
		}
		v, ok := w.Last("Asks")
		if !ok || v.Run.RunID != m.Data.RunID {
			t.Fatalf("%+v", v)
		}
		w.Done(w.Answer(v, schemas.UpdateApprove))
		if m := told(2*i + 2); m.Type != "run.done" {
			t.Errorf("%+v", m)
		}
	}
}
