package storage

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Contributors and viewers see what a run fails at; only administrators know the servers.
func TestErrorsNameNoServer(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 9000}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	unknown := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "minio.internal", Server: "10.0.0.5:53"}}
	wrong := &tls.CertificateVerificationError{Err: x509.HostnameError{Host: "minio.internal", Certificate: &x509.Certificate{DNSNames: []string{"minio.internal"}}}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{refused, "connect: connection refused"},
		{unknown, "no such host"},
		{wrong, "its certificate is not valid here"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("operation error S3: ListObjectsV2: %w", &url.Error{Op: "Get", URL: "http://10.0.0.5:9000/vip?x-id=1", Err: c.err})} {
			got := reason(err)
			if !errors.Is(got, ErrUnavailable) || !strings.HasSuffix(got.Error(), ": "+c.want) || strings.Contains(got.Error(), "10.0.0.5") || strings.Contains(got.Error(), "minio") {
				t.Errorf("%v: got %v, want %s", err, got, c.want)
			}
		}
	}
	for source, want := range map[string]string{
		"s3://lake/vip?endpoint=http%3A%2F%2F10.0.0.5%3A9000": "s3://lake/vip",
		"s3://lake/vip":           "s3://lake/vip",
		"/exports/part-????.avro": "/exports/part-????.avro",
	} {
		if got := named(source); got != want {
			t.Errorf("%s is named %s, want %s", source, got, want)
		}
	}
}
