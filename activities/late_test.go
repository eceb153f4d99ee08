package activities

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAMessageAboutALateRun goes only to the targets of the export as it was granted, and holds
// nothing but times.
func TestAMessageAboutALateRun(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	var body []byte
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer hook.Close()
	chat := schemas.Notify{URL: schemas.NotifyURL{URL: hook.URL + "/chat"}, On: []string{schemas.EventOverdue}}
	b.guarded(t, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}, Notify: []schemas.Notify{chat},
	}})
	var err error
	if b.Notifier, err = notify.New(notify.Options{Allowed: []string{hook.URL}}); err != nil {
		t.Fatal(err)
	}
	b.env.RegisterActivityWithOptions(b.Notify, activity.RegisterOptions{Name: schemas.ActivityNotify})
	in := schemas.NotifyInput{To: chat, ID: "1", Message: schemas.Message{Type: "run.transfer", Data: schemas.Event{
		Event: schemas.EventOverdue, Export: "Spring", Connection: "sandbox", Segment: "Transfer", Message: "Transfer the money", Commands: []string{"transfer"},
		Late: &schemas.Lateness{Due: time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC)},
	}}}
	for name, change := range map[string]func(*schemas.NotifyInput){
		"a run of another ID":      func(in *schemas.NotifyInput) { in.Message.Data.Late = &schemas.Lateness{RunID: "transfer"} },
		"another export":           func(in *schemas.NotifyInput) { in.Message.Data.Export = "Autumn" },
		"another connection":       func(in *schemas.NotifyInput) { in.Message.Data.Connection = "owners" },
		"another chat":             func(in *schemas.NotifyInput) { in.To.URL.URL = hook.URL + "/other" },
		"an event nobody wants":    func(in *schemas.NotifyInput) { in.Message.Data.Event = schemas.EventSlow },
		"an event of another kind": func(in *schemas.NotifyInput) { in.Message.Data.Event = schemas.EventFailed },
	} {
		bad := in
		change(&bad)
		_, err := b.env.ExecuteActivity(schemas.ActivityNotify, bad)
		if isOfType(t, err, schemas.ErrorGrant); t.Failed() {
			t.Fatal(name)
		}
	}
	if _, err = b.env.ExecuteActivity(schemas.ActivityNotify, in); err != nil {
		t.Fatal(err)
	}
	if text := string(body); !strings.Contains(text, "run.overdue") || !strings.Contains(text, "due at 26 Nov 2026 04:00 UTC has not begun") || strings.Contains(strings.ToLower(text), "transfer") {
		t.Errorf("the message is %s", text)
	}
}
