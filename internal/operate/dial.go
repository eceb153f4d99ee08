package operate

import (
	"context"
	"fmt"
	"log/slog"
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
			return nil, fmt.Errorf("no Temporal answers at %s (namespace %s): %w; start it, or set TEMPORAL_ADDRESS", options.HostPort, options.Namespace, err)
		}
		o.Log.Warn("no Temporal answers; trying again", "address", options.HostPort, "namespace", options.Namespace, "pause", pause.String(), "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
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
