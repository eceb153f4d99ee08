package emulators

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy forwards requests to an emulator. It counts reads of objects, and injects faults.
type Proxy struct {
	// Addr is the address that it listens on.
	Addr string

	reads, bytes atomic.Int64

	mu      sync.Mutex
	forward *httputil.ReverseProxy
	harm    func(*http.Request) Harm
}

// Harm is a fault of one answer.
type Harm int

// Kinds of harm.
const (
	Unharmed Harm = iota
	Truncate      // the connection ends after half of the body
	Refuse        // status 503, and no effect
	Forbid        // status 403, and no effect
)

func newProxy(t testing.TB, backend string) *Proxy {
	p := &Proxy{}
	if backend != "" {
		p.to(t, backend)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Addr = server.Listener.Addr().String()
	return p
}

// to sets the backend of requests.
func (p *Proxy) to(t testing.TB, backend string) {
	u, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// Hurt calls harm for every request from now on, which returns the fault of its answer. Nil
// ends that.
func (p *Proxy) Hurt(harm func(*http.Request) Harm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.harm = harm
}

// IsRead reports whether a request reads the content of an object.
func IsRead(r *http.Request) bool {
	q := r.URL.Query()
	return r.Method == http.MethodGet && !q.Has("comp") && !q.Has("list-type") && (!strings.Contains(r.URL.Path, "/storage/v1/") || q.Get("alt") == "media")
}

// Traffic returns the number of reads of objects and of their bytes since the last call.
func (p *Proxy) Traffic() (reads, bytes int64) { return p.reads.Swap(0), p.bytes.Swap(0) }

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	forward, harm := p.forward, p.harm
	p.mu.Unlock()
	what := Unharmed
	if harm != nil {
		what = harm(r)
	}
	counted := &counting{ResponseWriter: w}
	switch what {
	case Refuse:
		w.WriteHeader(http.StatusServiceUnavailable)
	case Forbid:
		w.WriteHeader(http.StatusForbidden)
	case Truncate:
		truncated(w, r, forward)
	default:
		forward.ServeHTTP(counted, r)
	}
	if IsRead(r) {
		p.reads.Add(1)
		p.bytes.Add(counted.bytes)
	}
}

type counting struct {
	http.ResponseWriter
	bytes int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// Unwrap allows the proxy to flush.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// truncated sends an answer's header and half of its body.
func truncated(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	whole := httptest.NewRecorder()
	whole.Body = &bytes.Buffer{}
	forward.ServeHTTP(whole, r)
	body := whole.Body.Bytes()
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = io.Copy(w, bytes.NewReader(body[:len(body)/2]))
	panic(http.ErrAbortHandler)
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
