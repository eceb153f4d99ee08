package remote

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWhatTheClientSaysOfTLS: a certificate that is not trusted, one of another host, and an
// address without TLS each have a remedy of their own, and another attempt helps none.
func TestWhatTheClientSaysOfTLS(t *testing.T) {
	asked := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "https://")
	for base, want := range map[string]string{
		s.URL:            "the certificate of the gateway at " + s.URL + " is not trusted: x509: certificate signed by unknown authority; add its certificate authority to this system, or set SSL_CERT_FILE to a file with it",
		"http://" + host: "the gateway at http://" + host + " uses TLS; set EXPORT_API to " + s.URL,
	} {
		c, err := New(base, func(context.Context) (string, error) { return "", nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Me(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", base, err, want)
		}
	}
	c, err := New(strings.Replace(s.URL, "127.0.0.1", "localhost", 1), func(context.Context) (string, error) { return "", nil })
	if err != nil {
		t.Fatal(err)
	}
	c.http = s.Client() // trusts it, for 127.0.0.1 and example.com
	if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "is not valid: x509: certificate is valid for") || !strings.HasSuffix(err.Error(), "correct EXPORT_API, or have the certificate replaced") {
		t.Errorf("another host: %v", err)
	}
	if asked != 0 {
		t.Errorf("the server was asked %d times", asked)
	}
}
