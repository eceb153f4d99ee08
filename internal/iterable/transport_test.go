package iterable

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func asError(err error, e **Error) bool { return errors.As(err, e) }

func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if _, err := c.Lists(t.Context()); ClassOf(err) != Unexpected {
			t.Errorf("GET answered %d: %v", status, err)
		}
		if _, err := c.Subscribe(t.Context(), []byte(`{}`)); ClassOf(err) != Unexpected {
			t.Errorf("POST answered %d: %v", status, err)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("the other host was asked %d times", reached.Load())
	}
}

func TestCallersHTTPClientFollowsNoRedirectEither(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	c := clientOf(t, srv, Options{HTTP: &http.Client{Transport: &http.Transport{}}})
	if _, err := c.Lists(t.Context()); ClassOf(err) != Unexpected || n.Load() != 1 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"lists":[]}`)
	}))
	srv.Config.ErrorLog = nil
	srv.EnableHTTP2 = true
	srv.StartTLS()
	_, err := clientOf(t, srv, Options{}).Lists(t.Context())
	if ClassOf(err) != Untrusted {
		t.Errorf("unknown authority: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	trusting := NewHTTPClient(TransportOptions{TLS: &tls.Config{RootCAs: roots}})
	if _, err := clientOf(t, srv, Options{HTTP: trusting}).Lists(t.Context()); err != nil {
		t.Errorf("trusted: %v", err)
	}
	misnamed := NewHTTPClient(TransportOptions{TLS: &tls.Config{RootCAs: roots, ServerName: "api.iterable.com"}})
	if _, err := clientOf(t, srv, Options{HTTP: misnamed}).Lists(t.Context()); ClassOf(err) != Untrusted {
		t.Errorf("other host's certificate: %v", err)
	}
}

func TestTimeoutsAreTransient(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Unsubscribe.path() { // the answer starts and does not end
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	header := clientOf(t, srv, Options{HTTP: NewHTTPClient(TransportOptions{ResponseHeader: time.Millisecond})})
	if _, err := header.Subscribe(t.Context(), []byte(`{}`)); ClassOf(err) != Transient {
		t.Errorf("no header: %v", err)
	}
	whole := clientOf(t, srv, Options{Timeout: 50 * time.Millisecond})
	if _, err := whole.Unsubscribe(t.Context(), []byte(`{}`)); ClassOf(err) != Transient {
		t.Errorf("no end: %v", err)
	}
	srv.CloseClientConnections()
}

func TestBadAddressesAreRefused(t *testing.T) {
	for _, bad := range []string{"", "api.iterable.com", "ftp://a", "https://", "https://user:pw@a", "https://a?b=c", "https://a#b", "http://[", "://"} {
		if _, err := New(Options{BaseURL: bad, Key: func() (string, error) { return "k", nil }}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestKeysThatCannotBeOneAreNotSent(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	for _, key := range []string{"", " \n", "ann secret", "secret\r\nX: y", "sécret", "secret\x7f"} {
		_, err := clientOf(t, srv, Options{Key: func() (string, error) { return key, nil }}).Lists(t.Context())
		if ClassOf(err) != NoKey {
			t.Errorf("%q: %v", key, err)
		}
		mustNameNobody(t, err)
	}
	missing := errors.New("no such variable")
	_, err := clientOf(t, srv, Options{Key: func() (string, error) { return "", missing }}).Lists(t.Context())
	if !errors.Is(err, missing) {
		t.Errorf("got %v", err)
	}
	if n.Load() != 0 {
		t.Errorf("%d requests were sent", n.Load())
	}
}
