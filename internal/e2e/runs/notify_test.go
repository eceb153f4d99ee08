package runs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAPersonHearsOfARun has a run wait and go on, with a webhook that fails at
// first.
func TestAPersonHearsOfARun(t *testing.T) {
	t.Parallel()
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
	w := world.New(t, sandbox.Config{}, false)
	w.Notify = notify.Options{Allowed: []string{server.URL}}
	w.StartHost()
	w.Generated(500)
	export := w.Export("Told", "EmailAddress")
	export.Notify = []schemas.Notify{{URL: schemas.NotifyURL{URL: server.URL}, On: []string{schemas.EventWaiting, schemas.EventDone}}}
	w.Key(true)
	v := w.Run(export)
	w.Waiting(v)
	told := func(n int) schemas.Message {
		t.Helper()
		w.Until("the webhook is called", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == n })
		return heard[n-1]
	}
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
