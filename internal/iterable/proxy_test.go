package iterable

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxiedHost has no address: only the proxy knows where it is.
const proxiedHost = "api.iterable.invalid"

// proxy is a forward proxy that tunnels every request to one server.
type proxy struct {
	to     string
	refuse bool

	mu    sync.Mutex
	asked []string // what, and with which headers
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, fmt.Sprint(r.Method, " ", r.Host, " ", r.Header))
	p.mu.Unlock()
	if p.refuse || r.Method != http.MethodConnect {
		http.Error(w, "authenticate", http.StatusProxyAuthRequired)
		return
	}
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, "unreachable", http.StatusBadGateway)
		return
	}
	defer out.Close()
	in, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	fmt.Fprint(in, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(out, buffered); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

// selfSigned makes a certificate for a host, and writes it where a process can be
// told to trust it.
func selfSigned(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestProxies sends requests through a proxy in a separate process, since the environment's
// proxies are read once per process.
func TestProxies(t *testing.T) {
	if os.Getenv("ASK_THROUGH_PROXY") != "" {
		c, err := New(Options{BaseURL: "https://" + proxiedHost, Key: func() (string, error) { return testKey, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.CreateList(t.Context(), "n", "")
		fmt.Printf("RESULT %v\n", err)
		return
	}
	pair, roots := selfSigned(t, proxiedHost)
	var mu sync.Mutex
	var keys []string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Api-Key"))
		io.WriteString(w, `{"listId":1}`)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	defer srv.Close()

	const password = "proxy-password"
	for name, c := range map[string]struct {
		env     string
		refuse  bool
		trusted bool
		asks    bool // the proxy
		want    string
	}{
		"HTTPS_PROXY":                   {"HTTPS_PROXY=http://ann:" + password + "@%s", false, true, true, "RESULT <nil>"},
		"https_proxy":                   {"https_proxy=http://%s", false, true, true, "RESULT <nil>"},
		"NO_PROXY":                      {"NO_PROXY=.iterable.invalid\nHTTPS_PROXY=http://%s", false, true, false, "could not be resolved"},
		"a proxy for other things":      {"HTTP_PROXY=http://%s", false, true, false, "could not be resolved"},
		"a proxy that wants a password": {"HTTPS_PROXY=http://ann:" + password + "@%s", true, true, true, "the proxy answered HTTP 407: check the connection's address and the proxy"},
		"a proxy that looks inside":     {"HTTPS_PROXY=http://%s", false, false, true, "certificate could not be verified"},
	} {
		t.Run(name, func(t *testing.T) {
			keys = nil
			p := &proxy{to: srv.Listener.Addr().String(), refuse: c.refuse}
			through := httptest.NewServer(p)
			defer through.Close()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxies$")
			cmd.Env = []string{"ASK_THROUGH_PROXY=1"}
			if c.trusted {
				cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+roots)
			}
			cmd.Env = append(cmd.Env, strings.Split(fmt.Sprintf(c.env, through.Listener.Addr()), "\n")...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Fatalf("%v, %s: it does not say %q", err, out, c.want)
			}
			if strings.Contains(string(out), testKey) || strings.Contains(string(out), password) {
				t.Errorf("it tells a secret: %s", out)
			}
			asked := strings.Join(p.asked, "\n")
			if (asked != "") != c.asks || c.asks && !strings.HasPrefix(asked, "CONNECT "+proxiedHost+":443 ") || strings.Contains(asked, testKey) {
				t.Errorf("the proxy was asked %q", asked)
			}
			if got := strings.Join(keys, ","); c.want == "RESULT <nil>" && got != testKey || c.want != "RESULT <nil>" && got != "" {
				t.Errorf("Iterable got the keys %q", got)
			}
		})
	}
}
