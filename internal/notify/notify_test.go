package notify

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"iterable-segment-export/schemas"
)

const secret = "whsec_bm90IGEgcmVhbCBzZWNyZXQsIGZvciB0ZXN0cyBvbmx5"

func input(to schemas.Notify) schemas.NotifyInput {
	return schemas.NotifyInput{To: to, ID: "run-1", Message: schemas.Message{
		Type: "run.waiting", Timestamp: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Data: schemas.Event{
			Event: schemas.EventWaiting, Export: "Spring <campaign>", Connection: "marketing", RunID: "run-1", Segment: "Everybody",
			Message: "too many removals", Commands: []string{`starter approve "Spring <campaign>"`},
		},
	}}
}

// receive serves a webhook's other end, and gives its URL and what it was sent.
func receive(t *testing.T, status int) (string, func() (http.Header, []byte)) {
	t.Helper()
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hook", func() (http.Header, []byte) { return header, body }
}

func sender(t *testing.T, o Options) *Sender {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAMessageIsSigned(t *testing.T) {
	to, got := receive(t, http.StatusNoContent)
	s := sender(t, Options{Secret: secret, Allowed: []string{to}})
	if err := s.Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{URL: to}})); err != nil {
		t.Fatal(err)
	}
	header, body := got()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := wh.Verify(body, header); err != nil || header.Get("webhook-id") != "run-1" {
		t.Errorf("%v, %v", err, header)
	}
	if wh.Verify(append(body, ' '), header) == nil {
		t.Error("an altered message is taken")
	}
	var m schemas.Message
	if err := json.Unmarshal(body, &m); err != nil || m.Type != "run.waiting" || m.Data.Commands[0] != `starter approve "Spring <campaign>"` {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestSlackGetsText(t *testing.T) {
	to, got := receive(t, http.StatusOK)
	s := sender(t, Options{Allowed: []string{"http://127.0.0.1:1", to}, Getenv: func(name string) string {
		return map[string]string{"NOTIFY_URL_OPS": to}[name]
	}})
	if err := s.Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{Env: "NOTIFY_URL_OPS"}, Format: schemas.NotifySlack})); err != nil {
		t.Fatal(err)
	}
	var text map[string]string
	_, body := got()
	if err := json.Unmarshal(body, &text); err != nil || len(text) != 1 ||
		!strings.HasPrefix(text["text"], "*Export «Spring &lt;campaign&gt;»* waits for an operator at segment «Everybody»\ntoo many removals\n`starter approve") {
		t.Errorf("%v, %q", err, text)
	}
}

func TestWhatARetryCanCureIsNotFinal(t *testing.T) {
	for status, final := range map[int]bool{
		http.StatusInternalServerError: false, http.StatusTooManyRequests: false, http.StatusBadGateway: false,
		http.StatusBadRequest: true, http.StatusNotFound: true, http.StatusGone: true, http.StatusFound: true,
	} {
		to, _ := receive(t, status)
		err := sender(t, Options{Allowed: []string{to}}).Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{URL: to}}))
		var e *Error
		if !errors.As(err, &e) || e.Final != final {
			t.Errorf("HTTP %d: %v, want final: %v", status, err, final)
		}
	}
}

// TestAWebhookReachesNoPlaceOfItsOwnChoice tries what a contributor might.
func TestAWebhookReachesNoPlaceOfItsOwnChoice(t *testing.T) {
	to, got := receive(t, http.StatusOK)
	port := to[strings.LastIndex(to, ":")+1 : strings.LastIndex(to, "/")]
	for name, c := range map[string]struct {
		allowed []string
		url     schemas.NotifyURL
		says    string
	}{
		"plain http":               {nil, schemas.NotifyURL{URL: to}, "only https"},
		"loopback":                 {nil, schemas.NotifyURL{URL: "https://127.0.0.1:" + port + "/secret-path"}, "private network"},
		"loopback by name":         {nil, schemas.NotifyURL{URL: "https://localhost:" + port + "/secret-path"}, "private network"},
		"loopback, IPv4 in IPv6":   {nil, schemas.NotifyURL{URL: "https://[::ffff:127.0.0.1]:" + port + "/secret-path"}, "private network"},
		"cloud metadata":           {nil, schemas.NotifyURL{URL: "https://169.254.169.254/secret-path"}, "private network"},
		"private":                  {nil, schemas.NotifyURL{URL: "https://10.1.2.3/secret-path"}, "private network"},
		"another host":             {[]string{"https://hooks.example.com/"}, schemas.NotifyURL{URL: to}, "not one of NOTIFY_ALLOWED"},
		"a host that begins alike": {[]string{"http://127.0.0.1"}, schemas.NotifyURL{URL: to}, "not one of NOTIFY_ALLOWED"},
		"another path":             {[]string{to + "/below"}, schemas.NotifyURL{URL: to}, "not one of NOTIFY_ALLOWED"},
		"a path that begins alike": {[]string{to}, schemas.NotifyURL{URL: to + "-not"}, "not one of NOTIFY_ALLOWED"},
		"dots":                     {[]string{to}, schemas.NotifyURL{URL: to + "/../secret-path"}, "not one of NOTIFY_ALLOWED"},
		"a user":                   {[]string{to}, schemas.NotifyURL{URL: strings.Replace(to, "http://", "http://a:b@", 1)}, "not one of NOTIFY_ALLOWED"},
		"another variable":         {nil, schemas.NotifyURL{Env: "ITERABLE_KEY"}, "does not begin with NOTIFY_URL_"},
		"a missing variable":       {nil, schemas.NotifyURL{Env: "NOTIFY_URL_NONE"}, "environment does not have it"},
		"no URL":                   {nil, schemas.NotifyURL{Env: "NOTIFY_URL_KEY"}, "no http or https URL"},
	} {
		s := sender(t, Options{Allowed: c.allowed, Getenv: func(name string) string {
			return map[string]string{"NOTIFY_URL_KEY": "secret-path", "ITERABLE_KEY": "secret-path"}[name]
		}})
		err := s.Send(t.Context(), input(schemas.Notify{URL: c.url}))
		var e *Error
		if !errors.As(err, &e) || !e.Final || !strings.Contains(e.Error(), c.says) || strings.Contains(e.Error(), "secret-path") {
			t.Errorf("%s: %v, want %q, and no URL", name, err, c.says)
		}
	}
	if header, _ := got(); header != nil {
		t.Error("a message went out all the same")
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, o := range []Options{{Secret: "not base64!"}, {Allowed: []string{"hooks.example.com"}}, {Allowed: []string{"ftp://x.example/"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
