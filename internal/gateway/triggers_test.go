package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

const theGridKey = "the key of Event Grid, which signs nothing"

// sender signs requests to a gateway whose Temporal is a fakeTemporal.
type sender struct {
	*fakeTemporal
	t      *testing.T
	gate   *access.Gate
	office *Office
	hook   *standardwebhooks.Webhook
	h      http.Handler
}

func newSender(t *testing.T) sender {
	t.Helper()
	key := bytes.Repeat([]byte{7}, 32)
	secrets := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(secrets, []byte("airflow whsec_"+base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	gridKey := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(gridKey, []byte(theGridKey), 0o600); err != nil {
		t.Fatal(err)
	}
	verifier, err := trigger.New(trigger.Options{Secrets: secrets, Key: gridKey})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeTemporal{schedules: map[string]schemas.ScheduledInput{}, signal: func(string) {}}
	office, gate := officeWith(t, f)
	return sender{f, t, gate, office, hook, NewHandler(Options{Office: office, Triggers: verifier, Log: slog.New(slog.DiscardHandler)})}
}

func (s sender) apply(names ...string) {
	s.t.Helper()
	for _, name := range names {
		in := scheduleOf(s.t, s.gate, name)
		s.mu.Lock()
		s.schedules[name] = in
		s.mu.Unlock()
	}
}

// post sends a body with its signature, and returns the status and the answer.
func (s sender) post(path, id, body string) (int, string) {
	s.t.Helper()
	now := time.Now()
	signature, err := s.hook.Sign(id, now, []byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, path, bytes.NewReader([]byte(body)))
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// told sends an event and returns the exports that it tells.
func (s sender) told(id, key string) (names []string) {
	s.t.Helper()
	status, text := s.post("/v1/events", id, fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"lake"},"object":{"key":%q}}}]}`, key))
	var news News
	if err := json.Unmarshal([]byte(text), &news); err != nil || status != http.StatusAccepted {
		s.t.Fatalf("%s: %d %s", id, status, text)
	}
	for _, e := range news.Exports {
		names = append(names, e.Export)
	}
	return names
}

// TestASignatureIsForOneExport: whoever has seen a signed request can't start another export
// with it, nor have an event taken for a start.
func TestASignatureIsForOneExport(t *testing.T) {
	s := newSender(t)
	s.apply("Spring", "Autumn")
	followed := s.schedules["Spring"]
	followed.Followers = []string{"Summer"} // which a start by a program does not start
	s.schedules["Spring"] = followed
	const spring = `{"export": "Spring", "dag": "segments"}`
	for what, c := range map[string]struct {
		path, body string
	}{
		"another export": {"/v1/exports/Autumn/runs", spring},
		"no export":      {"/v1/exports/Spring/runs", `{}`},
		"no JSON":        {"/v1/exports/Spring/runs", ``},
		"an event":       {"/v1/exports/Spring/runs", `{"Records":[]}`},
		"a start":        {"/v1/events", spring},
	} {
		if status, text := s.post(c.path, "msg_0", c.body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	if len(s.started) > 0 {
		t.Fatalf("started %+v", s.started)
	}
	for range 2 { // sent again, it gets the same run
		if status, text := s.post("/v1/exports/Spring/runs", "msg_1", spring); status != http.StatusAccepted {
			t.Errorf("%d %s", status, text)
		}
	}
	n := len(s.started)
	for what, status := range map[string]func() (int, string){
		"for another export": func() (int, string) { return s.post("/v1/exports/Autumn/runs", "msg_1", `{"export": "Autumn"}`) },
		"for an event":       func() (int, string) { return s.post("/v1/events", "msg_1", `{"Records":[]}`) },
	} {
		if got, text := status(); got != http.StatusBadRequest {
			t.Errorf("an ID that is used again %s: %d %s", what, got, text)
		}
	}
	if len(s.started) != n {
		t.Errorf("started %+v", s.started)
	}
	if status, text := s.post("/v1/exports/"+url.PathEscape("Autumn")+"/runs", "msg_2", `{"export": "Autumn"}`); status != http.StatusAccepted {
		t.Errorf("%d %s", status, text)
	}
}

// TestTriggersAreOff where nobody has set them up: signed requests and events are refused, whoever
// sends them.
func TestTriggersAreOff(t *testing.T) {
	s := newSender(t)
	s.apply("Spring")
	s.h = NewHandler(Options{Office: s.office, Log: slog.New(slog.DiscardHandler)})
	const why = "this gateway accepts no signed requests and no events"
	for path, body := range map[string]string{"/v1/exports/Spring/runs": `{"export": "Spring"}`, "/v1/events": `{"Records":[]}`} {
		if status, text := s.post(path, "msg_1", body); status != http.StatusUnauthorized || !strings.Contains(text, why) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/v1/events", nil))
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), why) {
		t.Errorf("the question whether events may be sent: %d %s", w.Code, w.Body)
	}
	if len(s.started) > 0 {
		t.Errorf("started %+v", s.started)
	}
}

// TestAPausedExportIsNotStarted by a program. One with schedule: off is, since nothing else starts it.
func TestAPausedExportIsNotStarted(t *testing.T) {
	s := newSender(t)
	s.apply("Spring")
	off := s.schedules["Spring"]
	off.Timing = nil
	s.schedules["Spring"] = off
	s.paused = true
	if status, text := s.post("/v1/exports/Spring/runs", "msg_1", `{"export": "Spring"}`); status != http.StatusConflict || !strings.Contains(text, "starter resume") {
		t.Errorf("paused: %d %s", status, text)
	}
	if len(s.started) > 0 {
		t.Errorf("started %+v", s.started)
	}
	s.paused = false
	if status, text := s.post("/v1/exports/Spring/runs", "msg_1", `{"export": "Spring"}`); status != http.StatusAccepted || len(s.started) != 1 {
		t.Errorf("off: %d %s, started %+v", status, text, s.started)
	}
}

// TestEventGridIsAnswered: the gateway answers the validation of both schemas of Event Grid, if the
// key is right.
func TestEventGridIsAnswered(t *testing.T) {
	s := newSender(t)
	validation, err := os.ReadFile("../trigger/testdata/grid-validation.json")
	if err != nil {
		t.Fatal(err)
	}
	validation = bytes.Replace(validation, []byte("2026-08-10T22:04:00"), []byte(time.Now().UTC().Format("2006-01-02T15:04:05")), 1)
	for _, c := range []struct {
		method, key string
		status      int
		want        string
	}{
		{http.MethodPost, theGridKey, http.StatusOK, `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`},
		{http.MethodPost, "another", http.StatusUnauthorized, "the key is not valid"},
		{http.MethodOptions, theGridKey, http.StatusOK, ""},
		{http.MethodOptions, "", http.StatusUnauthorized, "the key is not valid"},
	} {
		for _, inHeader := range []bool{true, false} {
			address, origin := "/v1/events", ""
			if !inHeader {
				address += "?key=" + url.QueryEscape(c.key)
			}
			r := httptest.NewRequestWithContext(t.Context(), c.method, address, bytes.NewReader(validation))
			if inHeader {
				r.Header.Set("Trigger-Key", c.key)
			}
			if c.method == http.MethodOptions { // of CloudEvents
				origin = "eventgrid.azure.net"
				r.Header.Set("WebHook-Request-Origin", origin)
			}
			w := httptest.NewRecorder()
			s.h.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%s %s: %d %s, want %d %s", c.method, address, w.Code, w.Body, c.status, c.want)
			}
			if allowed := w.Header().Get("WebHook-Allowed-Origin"); allowed != "" && c.status != http.StatusOK || allowed != origin && c.status == http.StatusOK {
				t.Errorf("%s %s: the origin %q is allowed", c.method, address, allowed)
			}
		}
	}
}

// TestAnEventTellsManyExportsAtOnce: no signal waits for another one.
func TestAnEventTellsManyExportsAtOnce(t *testing.T) {
	s := newSender(t)
	var together sync.WaitGroup
	together.Add(tellAtOnce)
	for n := range tellAtOnce {
		s.apply(fmt.Sprintf("part-%02d", n))
	}
	for name, in := range s.schedules {
		in.Export.Segments[0].Source = "s3://lake/segments"
		s.schedules[name] = in
	}
	s.signal = func(string) {
		together.Done()
		together.Wait() // one after another, they would wait forever
	}
	if told := s.told("event_1", "segments/a.parquet"); len(told) != tellAtOnce || told[0] != "part-00" {
		t.Errorf("%v", told)
	}
}

// TestAnEventOfANewExport is told to an export that was applied a moment before it.
func TestAnEventOfANewExport(t *testing.T) {
	s := newSender(t)
	put := func(name, source string) {
		s.apply(name)
		s.schedules[name].Export.Segments[0].Source = source
	}
	put("Spring", "s3://lake/spring")
	if told := s.told("event_1", "spring/a.parquet"); len(told) != 1 {
		t.Errorf("%v", told)
	}
	put("Autumn", "s3://lake/autumn")
	if told := s.told("event_2", "autumn/a.parquet"); len(told) != 1 || told[0] != "Autumn" {
		t.Errorf("%v", told)
	}
	lists := s.lists
	if told := s.told("event_3", "spring/b.parquet"); len(told) != 1 || s.lists != lists {
		t.Errorf("%v, and the list was read again for a place that is known: %v", told, s.lists != lists)
	}
	if told := s.told("event_2", "autumn/a.parquet"); len(told) != 0 {
		t.Errorf("sent again: %v", told)
	}
}

// TestAppliedNow is what a run for an event would start.
func TestAppliedNow(t *testing.T) {
	s := newSender(t)
	o := &operate.Session{Client: s.fakeTemporal}
	if now, err := o.AppliedNow(t.Context(), "Spring"); err != nil || now.Input != nil {
		t.Errorf("not applied: %+v, %v", now, err)
	}
	s.apply("Spring")
	s.paused = true
	if now, err := o.AppliedNow(t.Context(), "Spring"); err != nil || now.Input == nil || now.Input.Export.Name != "Spring" || now.Input.Grant == nil || !now.Paused {
		t.Errorf("paused: %+v, %v", now, err)
	}
}

// TestTheIDOfAMessageTakesLittleMemory, however long its sender makes it: thousands are remembered.
func TestTheIDOfAMessageTakesLittleMemory(t *testing.T) {
	long := strings.Repeat("x", maxBody)
	if n := len(messageID("airflow", long)); n > 64 {
		t.Errorf("%d bytes", n)
	}
	if messageID("airflow", long) == messageID("airflow", long+"y") || messageID("a", "b") == messageID("b", "a") {
		t.Error("two messages have the same")
	}
}

// TestAnEventStartsFirstExports: what is after an export that an event starts is started by the
// end of that one's run.
func TestAnEventStartsFirstExports(t *testing.T) {
	t.Parallel()
	export := func(name, source string, after ...string) operate.Applied {
		return operate.Applied{ScheduledInput: schemas.ScheduledInput{Export: schemas.Export{
			Name: name, After: after, Segments: []schemas.Segment{{Name: name, Source: source}},
		}}}
	}
	paused := func(a operate.Applied) operate.Applied { a.Paused = true; return a }
	before := func(a operate.Applied, followers ...string) operate.Applied { a.Followers = followers; return a }
	const lake, pond, object = "s3://data/lake", "s3://data/pond", "s3://data/lake/part-0.parquet"
	for name, c := range map[string]struct {
		applied []operate.Applied
		want    []string
	}{
		"by itself":                    {[]operate.Applied{export("a", lake), export("b", pond)}, []string{"a"}},
		"both read":                    {[]operate.Applied{export("b", lake, "a"), before(export("a", lake), "b")}, []string{"a"}},
		"the first does not know":      {[]operate.Applied{export("b", lake, "a"), export("a", lake)}, []string{"b", "a"}},
		"only the later one reads":     {[]operate.Applied{before(export("a", pond), "b"), export("b", lake, "a")}, []string{"b"}},
		"one between them":             {[]operate.Applied{before(export("a", lake), "b"), before(export("b", pond, "a"), "c"), export("c", lake, "b")}, []string{"a"}},
		"the first is paused":          {[]operate.Applied{paused(before(export("a", lake), "b")), export("b", lake, "a")}, []string{"b"}},
		"the one between is paused":    {[]operate.Applied{before(export("a", lake), "b"), paused(before(export("b", pond, "a"), "c")), export("c", lake, "b")}, []string{"a", "c"}},
		"after each other, by mistake": {[]operate.Applied{before(export("a", lake, "b"), "b"), before(export("b", pond, "a"), "a")}, []string{"a"}},
	} {
		if have := reading(c.applied, []string{object}); !slices.Equal(have, c.want) {
			t.Errorf("%s: an event starts %v, want %v", name, have, c.want)
		}
	}
}
