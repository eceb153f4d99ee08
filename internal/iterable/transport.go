package iterable

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"iterable-segment-export/internal/lease"
)

// TransportOptions are the settings of NewHTTPClient. A zero field means the
// default.
type TransportOptions struct {
	// Dial, TLSHandshake and ResponseHeader bound the phases of a request:
	// default 10 s, 10 s and 100 s. Some answers need a minute.
	Dial, TLSHandshake, ResponseHeader time.Duration
	// InFlight is the number of concurrent requests, and of connections that are kept open.
	// Default 32.
	InFlight int
	// TLS is for tests; default the system's roots.
	TLS *tls.Config
}

// NewHTTPClient returns an HTTP client for Options.HTTP. It verifies certificates, uses the
// environment's proxy, uses HTTP/2 if the server does, limits every phase of a request, and
// does not follow redirects.
func NewHTTPClient(o TransportOptions) *http.Client {
	inFlight := cmp.Or(o.InFlight, 32)
	conf := o.TLS.Clone()
	if conf == nil {
		conf = &tls.Config{}
	}
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	return &http.Client{
		CheckRedirect: refuseRedirect,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			OnProxyConnectResponse: checkProxy,
			DialContext:            (&net.Dialer{Timeout: cmp.Or(o.Dial, 10*time.Second), KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:        conf,
			TLSHandshakeTimeout:    cmp.Or(o.TLSHandshake, 10*time.Second),
			ResponseHeaderTimeout:  cmp.Or(o.ResponseHeader, 100*time.Second),
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConns:           4 * inFlight,
			MaxIdleConnsPerHost:    inFlight,
			MaxResponseHeaderBytes: 64 << 10,
			WriteBufferSize:        64 << 10,
			ForceAttemptHTTP2:      true,
			// Pings detect a connection that died silently.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		},
	}
}

// proxyRefusal is the status of a proxy that does not connect to the host.
type proxyRefusal int

func (s proxyRefusal) Error() string { return fmt.Sprintf("the proxy answered HTTP %d", int(s)) }

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return proxyRefusal(answer.StatusCode)
	}
	return nil
}

// refuseRedirect stops every redirect. Iterable's API has none, and net/http would send the
// Api-Key header to another host.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// transportError returns the error of a request without a complete answer. It drops the
// original error, which can quote what was received.
func transportError(endpoint string, status int, err error) *Error {
	e := &Error{Class: Transient, Endpoint: endpoint, Status: status}
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		dns          *net.DNSError
		refused      proxyRefusal
		timeout      interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, lease.ErrUnanswered):
		e.Detail = lease.ErrUnanswered.Error()
	case errors.Is(err, errTooLarge):
		e.Class, e.Detail = Unexpected, errTooLarge.Error()
	case errors.As(err, &refused):
		e.Detail = refused.Error()
		if refused < http.StatusInternalServerError {
			e.Class = Unexpected
		}
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		e.Class, e.Detail = Untrusted, "the host's certificate could not be verified"
	case errors.As(err, &dns):
		e.Detail = "the host's name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Detail = "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Detail = "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Detail = "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Detail = "the connection was closed before the whole answer was there"
	default:
		e.Detail = "the connection failed"
	}
	return e
}
