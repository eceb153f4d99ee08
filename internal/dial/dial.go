// Package dial connects to Temporal as its own environment configuration says, and
// prepares a namespace: workers, the starter and the development server use it.
package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
)

// Options says how to reach Temporal.
type Options struct {
	// Address and Namespace override the environment's configuration.
	Address, Namespace string
	// Profile and ConfigFile override TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE.
	Profile, ConfigFile string
	Log                 *slog.Logger
	// Patience is how long to keep trying. With 0 there is one attempt.
	Patience time.Duration
	// Metrics receives the SDK's metrics. Interceptors wrap the client and its
	// workers. Both may be nil.
	Metrics      client.MetricsHandler
	Interceptors []interceptor.ClientInterceptor
}

// Temporal connects to Temporal. It reads the same variables and profiles as the
// temporal CLI.
func Temporal(ctx context.Context, o Options) (client.Client, error) {
	options, err := ClientOptions(o)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(o.Patience)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		c, err := client.DialContext(try, options)
		cancel()
		if err == nil {
			return c, nil
		}
		if time.Now().Add(pause).After(until) || ctx.Err() != nil {
			return nil, fmt.Errorf("no Temporal answers at %s (namespace %s): %w; %s", options.HostPort, options.Namespace, err, remedy(err, options.ConnectionOptions.TLS))
		}
		o.Log.Warn("no Temporal answers; trying again", "address", options.HostPort, "namespace", options.Namespace, "pause", pause.String(), "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// remedy returns what to do about err. gRPC reports TLS problems as text only.
func remedy(err error, conf *tls.Config) string {
	says := func(words string) bool { return strings.Contains(err.Error(), words) }
	switch {
	case says("failed to verify certificate"):
		return "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority that signed its certificate, and TEMPORAL_TLS_SERVER_NAME to the name in it"
	case says("does not look like a TLS handshake"):
		return "the server does not use TLS, but TEMPORAL_TLS, TEMPORAL_API_KEY or a certificate asks for it: correct TEMPORAL_ADDRESS or those"
	case conf == nil:
		return "start it, or set TEMPORAL_ADDRESS, and TEMPORAL_TLS=true if it uses TLS"
	case len(conf.Certificates) == 0 && conf.GetClientCertificate == nil:
		return "start it, or set TEMPORAL_ADDRESS, and TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH if it requires a certificate"
	}
	return "start it, or set TEMPORAL_ADDRESS; it must trust the authority that signed TEMPORAL_TLS_CLIENT_CERT_PATH"
}

// ClientOptions returns the client options of the environment, with those of o.
func ClientOptions(o Options) (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{ConfigFilePath: o.ConfigFile, ConfigFileProfile: o.Profile})
	if err != nil {
		return options, fmt.Errorf("read Temporal's environment configuration: %w", err)
	}
	options.HostPort = cmp.Or(o.Address, options.HostPort, client.DefaultHostPort)
	options.Namespace = cmp.Or(o.Namespace, options.Namespace, client.DefaultNamespace)
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(bounded(answerTime)))
	options.MetricsHandler, options.Interceptors = o.Metrics, append(options.Interceptors, o.Interceptors...)
	if o.Log != nil {
		options.Logger = sdklog.NewStructuredLogger(o.Log)
	}
	return options, nil
}
