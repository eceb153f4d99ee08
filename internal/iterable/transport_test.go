package iterable

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

func asError(err error, e **Error) bool { return errors.As(err, e) }

// TestRedirectsAreNotFollowed: not to another host, by any way of writing it, nor
// to another scheme, and the key is never sent there.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer other.Close()
	secure := httptest.NewTLSServer(other.Config.Handler)
	defer secure.Close()
	for _, to := range []string{secure.URL, "//" + other.Listener.Addr().String() + "/api/lists", "/api/lists", "http://127.0.0.1:0"} {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		_, err := c.Lists(t.Context())
		if ClassOf(err) != Unexpected || !strings.Contains(err.Error(), "a redirect, which is not followed") {
			t.Errorf("to %s: %v", to, err)
		}
		mustNameNobody(t, err)
	}
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

// TestEveryPhaseEnds: the server can't delay a request for longer than the bound of each phase.
// Each test sets the bound of only one phase.
func TestEveryPhaseEnds(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != api.Unsubscribe.Path { // no header
			<-release
			return
		}
		for { // a byte now and then
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-release:
				return
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	}))
	defer slow.Close()
	defer close(release)
	for name, c := range map[string]struct {
		base      string
		transport TransportOptions
		whole     time.Duration
		status    int
	}{
		"dialling":          {slow.URL, TransportOptions{Dial: time.Nanosecond}, 0, 0},
		"the TLS handshake": {"https://" + silent.Addr().String(), TransportOptions{TLSHandshake: time.Millisecond}, 0, 0},
		"the header":        {slow.URL + "/headers", TransportOptions{ResponseHeader: time.Millisecond}, 0, 0},
		"the answer":        {slow.URL, TransportOptions{}, 100 * time.Millisecond, 200},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := New(Options{
				BaseURL: c.base, Key: func() (string, error) { return testKey, nil },
				HTTP: NewHTTPClient(c.transport), Timeout: c.whole,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Unsubscribe(t.Context(), []byte(`{}`))
			var e *Error
			if !asError(err, &e) || e.Class != Transient || e.Status != c.status || e.Detail != "no answer in time" {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAnswersAreBounded: neither headers nor a body without end, compressed or not,
// take more memory than an answer can have reason to.
func TestAnswersAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 4 * maxAnswer >> 20 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(w http.ResponseWriter, status int){
		"a body without end": func(w http.ResponseWriter, status int) {
			w.WriteHeader(status)
			for spaces := make([]byte, 1<<20); ; {
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		},
		"a bomb": func(w http.ResponseWriter, status int) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			_, _ = w.Write(bomb.Bytes())
		},
		"a header without end": func(w http.ResponseWriter, status int) {
			for i := range 1000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
			w.WriteHeader(status)
		},
	} {
		for _, status := range []int{200, 500} {
			c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, status) })
			before := allocated()
			_, err := c.Subscribe(t.Context(), []byte(`{}`))
			if err == nil {
				t.Errorf("%s, %d: no error", name, status)
			}
			mustNameNobody(t, err)
			if taken := allocated() - before; taken > 12*maxAnswer {
				t.Errorf("%s, %d: %d MB were taken", name, status, taken>>20)
			}
		}
	}
}

// allocated is what the process has taken of memory since it began, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func TestTimeoutsAreTransient(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.Unsubscribe.Path { // the answer starts and does not end
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
