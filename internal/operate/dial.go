package operate

import (
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
)

// DialOptions says how to reach Temporal.
type DialOptions struct {
	// Address and Namespace override the environment's configuration.
	Address, Namespace string
	Log                *slog.Logger
	// Patience is how long to keep trying; at 0 the first failure is the last.
	Patience time.Duration
	// Metrics takes the SDK's metrics, Interceptors take part in what the client
	// and its workers do; both may be nil.
	Metrics      client.MetricsHandler
	Interceptors []interceptor.ClientInterceptor
}

// Dial reaches Temporal by Temporal's own environment configuration: the same
// variables and profiles as the temporal CLI's.
func Dial(ctx context.Context, o DialOptions) (client.Client, error) {
	options, err := Options(o)
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

// remedy is what to do where no Temporal answers. What gRPC says of TLS comes as
// text alone.
func remedy(err error, conf *tls.Config) string {
	said := func(words string) bool { return strings.Contains(err.Error(), words) }
	switch {
	case said("failed to verify certificate"):
		return "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority that vouches for it, and TEMPORAL_TLS_SERVER_NAME to the name in its certificate"
	case said("does not look like a TLS handshake"):
		return "it speaks no TLS there, and TEMPORAL_TLS, TEMPORAL_API_KEY or a certificate asks for it: correct TEMPORAL_ADDRESS or those"
	case conf == nil:
		return "start it, or set TEMPORAL_ADDRESS, and TEMPORAL_TLS=true if it speaks TLS"
	case len(conf.Certificates) == 0 && conf.GetClientCertificate == nil:
		return "start it, or set TEMPORAL_ADDRESS, and TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH if it wants a certificate"
	}
	return "start it, or set TEMPORAL_ADDRESS; it must trust the authority that made TEMPORAL_TLS_CLIENT_CERT_PATH"
}

// Options are the client options that the environment and o give.
func Options(o DialOptions) (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("read Temporal's environment configuration: %w", err)
	}
	if o.Address != "" {
		options.HostPort = o.Address
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if o.Namespace != "" {
		options.Namespace = o.Namespace
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	options.MetricsHandler, options.Interceptors = o.Metrics, append(options.Interceptors, o.Interceptors...)
	if o.Log != nil {
		options.Logger = sdklog.NewStructuredLogger(o.Log)
	}
	return options, nil
}
