package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
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

// receive serves the receiver of webhooks, and returns its URL and what it received.
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
		!strings.HasPrefix(text["text"], "*Export “Spring &lt;campaign&gt;”* waits for an operator at segment “Everybody”\ntoo many removals\n`starter approve") {
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
		"plain http":               {nil, schemas.NotifyURL{URL: to}, "must be https"},
		"loopback":                 {nil, schemas.NotifyURL{URL: "https://127.0.0.1:" + port + "/secret-path"}, "is not public"},
		"loopback by name":         {nil, schemas.NotifyURL{URL: "https://localhost:" + port + "/secret-path"}, "is not public"},
		"loopback, IPv4 in IPv6":   {nil, schemas.NotifyURL{URL: "https://[::ffff:127.0.0.1]:" + port + "/secret-path"}, "is not public"},
		"cloud metadata":           {nil, schemas.NotifyURL{URL: "https://169.254.169.254/secret-path"}, "is not public"},
		"private":                  {nil, schemas.NotifyURL{URL: "https://10.1.2.3/secret-path"}, "is not public"},
		"another host":             {[]string{"https://hooks.example.com/"}, schemas.NotifyURL{URL: to}, "not allowed by NOTIFY_ALLOWED"},
		"a host that begins alike": {[]string{"http://127.0.0.1"}, schemas.NotifyURL{URL: to}, "not allowed by NOTIFY_ALLOWED"},
		"another path":             {[]string{to + "/below"}, schemas.NotifyURL{URL: to}, "not allowed by NOTIFY_ALLOWED"},
		"a path that begins alike": {[]string{to}, schemas.NotifyURL{URL: to + "-not"}, "not allowed by NOTIFY_ALLOWED"},
		"dots":                     {[]string{to}, schemas.NotifyURL{URL: to + "/../secret-path"}, "not allowed by NOTIFY_ALLOWED"},
		"encoded dots":             {[]string{to}, schemas.NotifyURL{URL: to + "/%2e%2e/secret-path"}, "not allowed by NOTIFY_ALLOWED"},
		"dots, half encoded":       {[]string{to}, schemas.NotifyURL{URL: to + "/.%2E/secret-path"}, "not allowed by NOTIFY_ALLOWED"},
		"dots, encoded twice":      {[]string{to}, schemas.NotifyURL{URL: to + "/%252e%252e/secret-path"}, "not allowed by NOTIFY_ALLOWED"},
		"dots behind a slash":      {[]string{to}, schemas.NotifyURL{URL: to + "/x%2f..%2f../secret-path"}, "not allowed by NOTIFY_ALLOWED"},
		"dots behind a backslash":  {[]string{to}, schemas.NotifyURL{URL: to + `/x%5c..%5c../secret-path`}, "not allowed by NOTIFY_ALLOWED"},
		"NAT64":                    {nil, schemas.NotifyURL{URL: "https://[64:ff9b::a9fe:a9fe]/secret-path"}, "is not public"},
		"6to4":                     {nil, schemas.NotifyURL{URL: "https://[2002:7f00:1::1]/secret-path"}, "is not public"},
		"a user":                   {[]string{to}, schemas.NotifyURL{URL: strings.Replace(to, "http://", "http://a:b@", 1)}, "not allowed by NOTIFY_ALLOWED"},
		"another variable":         {nil, schemas.NotifyURL{Env: "ITERABLE_KEY"}, "does not begin with NOTIFY_URL_"},
		"a missing variable":       {nil, schemas.NotifyURL{Env: "NOTIFY_URL_NONE"}, "not set in the worker's environment"},
		"no URL":                   {nil, schemas.NotifyURL{Env: "NOTIFY_URL_KEY"}, "not an http or https URL"},
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

// TestAddressesOfSpecialRanges has the first and the last address of ranges in IANA's
// registries, and their public neighbours.
func TestAddressesOfSpecialRanges(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"0.0.0.0": false, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true, "127.255.255.254": false,
		"169.254.169.254": false, "172.15.255.255": true, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.0": true,
		"192.0.0.170": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.17.255.255": true,
		"198.18.0.0": false, "198.19.255.255": false, "203.0.113.9": false, "223.255.255.255": true, "224.0.0.1": false,
		"239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "::ffff:0:7f00:1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::a00:1": false, "100::1": false, "2001::1": false, "2001:2::1": false,
		"2001:1ff:ffff::1": false, "2001:200::1": true, "2001:db8::1": false, "2002:a00:1::1": false, "2003::1": true,
		"2606:4700:4700::1111": true, "3fff::1": false, "3fff:fff:ffff::1": false, "4000::1": false, "5f00::1": false,
		"fc00::1": false, "fd12::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
}

// TestAProxyMayBePrivate: a worker that reaches the internet through a proxy of its own
// network sends through it, and is led to no private address by it.
func TestAProxyMayBePrivate(t *testing.T) {
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, Options{Proxy: func(*http.Request) (*url.URL, error) { return at, nil }})
	var e *Error
	err = s.Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{URL: "https://8.8.8.8/hook"}}))
	if !errors.As(err, &e) || e.Final {
		t.Errorf("%v", err)
	}
	if got := <-asked; got != "CONNECT 8.8.8.8:443" {
		t.Errorf("the proxy is asked for %s", got)
	}
	err = s.Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{URL: "https://169.254.169.254/hook"}}))
	if !errors.As(err, &e) || !e.Final || len(asked) > 0 {
		t.Errorf("%v, and the proxy was asked %d times", err, len(asked))
	}
}

// TestAProxyIsLedToNoOtherAddress: behind a proxy, names that change their address between
// two look-ups, that only the proxy can resolve, or that are numbers lead nowhere else.
func TestAProxyIsLedToNoOtherAddress(t *testing.T) {
	names := make(chan string, 10)
	end := httptest.NewUnstartedServer(http.NotFoundHandler())
	end.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- hello.ServerName
		return nil, nil
	}}
	end.Config.ErrorLog = log.New(io.Discard, "", 0)
	end.StartTLS()
	t.Cleanup(end.Close)
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		to, err := net.Dial("tcp", end.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, begun, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		go io.Copy(to, begun) // the server may have read some of it already
		_, _ = io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, Options{Proxy: func(*http.Request) (*url.URL, error) { return at, nil }})
	lookups := 0
	s.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "rebound.example" {
			return nil, errors.New("no such host")
		}
		if lookups++; lookups > 1 {
			return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("2606:4700::1"), netip.MustParseAddr("8.8.8.8")}, nil
	}
	send := func(to string) *Error {
		var e *Error
		if err := s.Send(t.Context(), input(schemas.Notify{URL: schemas.NotifyURL{URL: to}})); !errors.As(err, &e) {
			t.Fatalf("%s: %v", to, err)
		}
		return e
	}
	send("https://rebound.example/hook") // its certificate is not trusted
	if to, name := <-asked, <-names; to != "CONNECT 8.8.8.8:443" || name != "rebound.example" {
		t.Errorf("the proxy is asked for %s, and the server for %q", to, name)
	}
	if e := send("https://rebound.example/hook"); !e.Final || !strings.Contains(e.Error(), "is not public") {
		t.Errorf("its second address: %v", e)
	}
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "017700000001", "inside.corp"} {
		if e := send("https://" + host + "/hook"); !strings.Contains(e.Error(), "can't be resolved here") {
			t.Errorf("%s: %v", host, e)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the proxy is asked for %s", <-asked)
	}
}
