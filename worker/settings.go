package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// settings are the worker's configuration, read from environment variables of
// these names.
type settings struct {
	Connections  string `envconfig:"CONNECTIONS_FILE" default:"connections.yaml" desc:"file that defines the connections to Iterable; re-read when it changes"`
	DataRoot     string `envconfig:"DATA_ROOT" default:"data" desc:"folder or URL for staged data, snapshots and reports; all workers share it"`
	DataKeys     string `envconfig:"DATA_KEYS" desc:"keys (AGE-SECRET-KEY-…, parted by commas) that encrypt what is in the data root about people: the first what is written, all what is read; default none, unencrypted (docs/security.md)"`
	DataKeysFile string `envconfig:"DATA_KEYS_FILE" desc:"file with such keys, a line each, that follow those of DATA_KEYS"`
	TempDir      string `envconfig:"TEMP_DIR" desc:"folder for data that does not fit into memory, deleted after use; default the system's"`

	AuthSettings

	APISettings

	StagingSlots int           `envconfig:"STAGING_SLOTS" default:"2" desc:"segments that this worker reads at the same time"`
	UploadSlots  int           `envconfig:"UPLOAD_SLOTS" default:"8" desc:"chunks that this worker sends at the same time over each connection"`
	StopTimeout  time.Duration `envconfig:"STOP_TIMEOUT" default:"30s" desc:"time that requests in flight get when the worker is told to stop"`
	DialTimeout  time.Duration `envconfig:"DIAL_TIMEOUT" default:"2m" desc:"how long to try to reach Temporal at start before giving up"`
	Deployment   string        `envconfig:"TEMPORAL_DEPLOYMENT_NAME" desc:"worker deployment that this worker is a version of (docs/temporal.md); default none"`
	BuildID      string        `envconfig:"TEMPORAL_WORKER_BUILD_ID" desc:"build id of this version; default the program's version"`
	HealthAddr   string        `envconfig:"HEALTH_ADDR" desc:"host:port that answers GET /healthz (the process lives), /readyz (it works, and reaches Temporal) and /metrics (Prometheus); default none"`

	NotifySecret  string   `envconfig:"NOTIFY_SECRET" desc:"base64 secret that signs webhooks, by the Standard Webhooks specification; default none, unsigned"`
	NotifyAllowed []string `envconfig:"NOTIFY_ALLOWED" desc:"beginnings of URLs that webhooks may go to, parted by commas; default every https URL of a public address"`

	LogLevel  string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat string `envconfig:"LOG_FORMAT" default:"json" desc:"json, or text for people"`
}

// temporalVariables are read by Temporal's own environment configuration, the
// same as by the temporal CLI.
var temporalVariables = [][2]string{
	{"TEMPORAL_ADDRESS", "host:port of Temporal; default localhost:7233"},
	{"TEMPORAL_NAMESPACE", "namespace; default \"default\""},
	{"TEMPORAL_API_KEY", "API key, for Temporal Cloud"},
	{"TEMPORAL_TLS", "true to use TLS without further settings"},
	{"TEMPORAL_TLS_CLIENT_CERT_PATH", "client certificate, for mTLS"},
	{"TEMPORAL_TLS_CLIENT_KEY_PATH", "the client certificate's key"},
	{"TEMPORAL_TLS_SERVER_CA_CERT_PATH", "certificate authority to trust"},
	{"TEMPORAL_TLS_SERVER_NAME", "server name to expect in the certificate"},
	{"TEMPORAL_CONFIG_FILE", "TOML file with profiles; default the temporal CLI's"},
	{"TEMPORAL_PROFILE", "profile in that file; default \"default\""},
}

// tracingVariables are read by OpenTelemetry's own environment configuration.
var tracingVariables = [][2]string{
	{"OTEL_EXPORTER_OTLP_ENDPOINT", "URL to send traces to (OTLP over HTTP); default none"},
	{"OTEL_EXPORTER_OTLP_HEADERS", "headers to send with them, such as an API key"},
	{"OTEL_SERVICE_NAME", "name in the traces; default iterable-segment-export-worker"},
	{"OTEL_RESOURCE_ATTRIBUTES", "further attributes"},
}

func readSettings() (settings, error) {
	var s settings
	if err := envconfig.Process("", &s); err != nil {
		return s, fmt.Errorf("read the configuration from the environment (worker --help lists the variables): %w", err)
	}
	if s.StagingSlots < 1 || s.UploadSlots < 1 {
		return s, fmt.Errorf("STAGING_SLOTS and UPLOAD_SLOTS must be 1 or more")
	}
	if s.BuildID == "" {
		s.BuildID = version
	}
	return s, nil
}

// workerExamples are how a worker is called.
const workerExamples = `
EXAMPLES
  worker                                                  # all by default: connections.yaml, data, localhost:7233
  CONNECTIONS_FILE=/etc/export/connections.yaml DATA_ROOT=s3://exports worker
  LOG_FORMAT=text HEALTH_ADDR=127.0.0.1:8080 worker
  API_ADDR=127.0.0.1:8236 AUTH_ISSUER=https://id.example.com AUTH_AUDIENCE=exports WORKER_SECRET_FILE=secret worker
  HEALTH_ADDR=127.0.0.1:8080 worker --healthcheck         # status 0 while that one works
`

// usage prints every variable with its default and its meaning.
func usage(w io.Writer) error {
	fmt.Fprintln(w, "worker hosts the workflows and activities of iterable-segment-export. It has no flags but --help,\n--version, --healthcheck (ask a running worker how it is) and --new-data-key (print a\nkey for DATA_KEYS); it is configured by environment variables:")
	fmt.Fprint(w, workerExamples, "\n")
	tab := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	const format = `{{range .}}{{usage_key .}}	{{usage_type .}}	{{usage_default .}}	{{usage_description .}}
{{end}}`
	fmt.Fprintln(tab, "VARIABLE\tTYPE\tDEFAULT\tMEANING")
	if err := envconfig.Usagef("", &settings{}, tab, format); err != nil {
		return err
	}
	fmt.Fprintln(tab)
	fmt.Fprintln(tab, "TEMPORAL'S OWN")
	for _, v := range temporalVariables {
		fmt.Fprintf(tab, "%s\t\t\t%s\n", v[0], v[1])
	}
	fmt.Fprintln(tab)
	fmt.Fprintln(tab, "OPENTELEMETRY'S OWN")
	for _, v := range tracingVariables {
		fmt.Fprintf(tab, "%s\t\t\t%s\n", v[0], v[1])
	}
	return tab.Flush()
}
