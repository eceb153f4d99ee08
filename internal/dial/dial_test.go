package dial

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{}
	a.key, a.cert, _ = certificate(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue returns a certificate for a server or a client, as a pair and in files.
func (a *authority) issue(t *testing.T, dnsName string, use x509.ExtKeyUsage) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, cert, certPEM := certificate(t, a, &x509.Certificate{
		Subject: pkix.Name{CommonName: dnsName}, DNSNames: []string{dnsName}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, certFile, certPEM)
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, certFile, keyFile
}

// file returns the file with the authority's own certificate.
func (a *authority) file(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return path
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificate(t *testing.T, by *authority, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by == nil {
		by = &authority{cert: c, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// frontend responds to connecting clients like Temporal, and records their requests.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	mu            sync.Mutex
	authorization []string
}

func (f *frontend) GetSystemInfo(ctx context.Context, _ *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.authorization = append(f.authorization, strings.Join(md.Get("authorization"), ","))
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

// DescribeNamespace never answers.
func (f *frontend) DescribeNamespace(ctx context.Context, _ *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// serveTemporal listens until the test ends, with TLS if conf is not nil.
func serveTemporal(t *testing.T, conf *tls.Config) (*frontend, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	if conf != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(conf)))
	}
	f, s := &frontend{}, grpc.NewServer(options...)
	workflowservice.RegisterWorkflowServiceServer(s, f)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return f, l.Addr().String()
}

// TestACallThatNobodyAnswersEnds asks a server that accepts calls and never answers.
func TestACallThatNobodyAnswersEnds(t *testing.T) {
	_, address := serveTemporal(t, nil)
	defer func(d time.Duration) { answerTime = d }(answerTime)
	answerTime = 50 * time.Millisecond
	options, err := ClientOptions(Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := grpc.NewClient(address, append(options.ConnectionOptions.DialOptions, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = workflowservice.NewWorkflowServiceClient(c).DescribeNamespace(context.Background(), &workflowservice.DescribeNamespaceRequest{})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

// dial connects to Temporal with only these variables set.
func dial(t *testing.T, env map[string]string) error {
	t.Helper()
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TEMPORAL_") {
			t.Setenv(name, value) // so that it comes back
			os.Unsetenv(name)
		}
	}
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	for name, value := range env {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := Temporal(ctx, Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		c.Close()
	}
	return err
}

const temporalKey = "temporal-api-key-0123456789"

// TestTheWayToTemporal takes TLS, mTLS and API keys from the environment, and connects only
// as configured.
func TestTheWayToTemporal(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	server, _, _ := ours.issue(t, "temporal.test", x509.ExtKeyUsageServerAuth)
	_, clientCert, clientKey := ours.issue(t, "worker", x509.ExtKeyUsageClientAuth)
	_, strangeCert, strangeKey := others.issue(t, "worker", x509.ExtKeyUsageClientAuth)
	clients := x509.NewCertPool()
	clients.AddCert(ours.cert)

	oneWay := &tls.Config{Certificates: []tls.Certificate{server}}
	mutual := &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	trust := map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ours.file(t), "TEMPORAL_TLS_SERVER_NAME": "temporal.test"}
	with := func(pairs ...string) map[string]string {
		env := map[string]string{}
		for k, v := range trust {
			env[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
		return env
	}
	for name, c := range map[string]struct {
		server *tls.Config
		env    map[string]string
		key    string // that the server gets
		word   string // of the error; empty where the way is open
	}{
		"TLS":                         {oneWay, with(), "", ""},
		"TLS and an API key":          {oneWay, with("TEMPORAL_API_KEY", temporalKey), "Bearer " + temporalKey, ""},
		"mTLS":                        {mutual, with("TEMPORAL_TLS_CLIENT_CERT_PATH", clientCert, "TEMPORAL_TLS_CLIENT_KEY_PATH", clientKey), "", ""},
		"mTLS and an API key":         {mutual, with("TEMPORAL_API_KEY", temporalKey, "TEMPORAL_TLS_CLIENT_CERT_PATH", clientCert, "TEMPORAL_TLS_CLIENT_KEY_PATH", clientKey), "Bearer " + temporalKey, ""},
		"mTLS without a certificate":  {mutual, with(), "", "TEMPORAL_TLS_CLIENT_CERT_PATH"},
		"mTLS with a strange one":     {mutual, with("TEMPORAL_TLS_CLIENT_CERT_PATH", strangeCert, "TEMPORAL_TLS_CLIENT_KEY_PATH", strangeKey), "", "must trust the authority"},
		"a certificate without a key": {mutual, with("TEMPORAL_TLS_CLIENT_CERT_PATH", clientCert), "", "key path"},
		"an unknown authority":        {oneWay, map[string]string{"TEMPORAL_TLS": "true", "TEMPORAL_API_KEY": temporalKey}, "", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		"another authority's server":  {oneWay, with("TEMPORAL_TLS_SERVER_CA_CERT_PATH", others.file(t), "TEMPORAL_API_KEY", temporalKey), "", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		"a server of another name":    {oneWay, with("TEMPORAL_TLS_SERVER_NAME", "elsewhere.test", "TEMPORAL_API_KEY", temporalKey), "", "TEMPORAL_TLS_SERVER_NAME"},
		"no TLS where TLS is spoken":  {oneWay, nil, "", "TEMPORAL_TLS"},
		"an API key, and no TLS":      {nil, map[string]string{"TEMPORAL_API_KEY": temporalKey}, "", "TEMPORAL_TLS"},
		"no such file":                {oneWay, map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere/ca.pem"}, "", "/nowhere/ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			f, address := serveTemporal(t, c.server)
			if c.env == nil {
				c.env = map[string]string{}
			}
			c.env["TEMPORAL_ADDRESS"] = address
			err := dial(t, c.env)
			if c.word == "" {
				if err != nil || len(f.authorization) == 0 || f.authorization[0] != c.key {
					t.Errorf("authorization %q, %v", f.authorization, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%v does not say %q", err, c.word)
			}
			if len(f.authorization) != 0 || err != nil && strings.Contains(err.Error(), temporalKey) {
				t.Errorf("the server got %q; %v", f.authorization, err)
			}
		})
	}
}
