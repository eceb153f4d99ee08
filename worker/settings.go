package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// settings are the worker's settings, from environment variables.
type settings struct {
	Connections  string `envconfig:"CONNECTIONS_FILE" default:"connections.yaml" desc:"file that defines the connections to Iterable; re-read when it changes"`
	DataRoot     string `envconfig:"DATA_ROOT" default:"data" desc:"folder or URL for staged data, snapshots and reports; all workers share it"`
	DataKeys     string `envconfig:"DATA_KEYS" desc:"keys (AGE-SECRET-KEY-…, separated by commas) that encrypt profiles' data in the data root: the first encrypts, all decrypt; default not encrypted (docs/security.md)"`
	DataKeysFile string `envconfig:"DATA_KEYS_FILE" desc:"file with further keys, one per line"`
	TempDir      string `envconfig:"TEMP_DIR" desc:"folder for temporary data that does not fit into memory; default the system's"`

	AuthSettings

	APISettings

	StagingSlots int           `envconfig:"STAGING_SLOTS" default:"2" desc:"segments that this worker reads at once"`
	UploadSlots  int           `envconfig:"UPLOAD_SLOTS" default:"8" desc:"chunks that this worker sends at once over each connection"`
	StopTimeout  time.Duration `envconfig:"STOP_TIMEOUT" default:"30s" desc:"how long to wait for requests in flight when the worker stops"`
	DialTimeout  time.Duration `envconfig:"DIAL_TIMEOUT" default:"2m" desc:"how long to try to reach Temporal and its namespace at start"`
	Deployment   string        `envconfig:"TEMPORAL_DEPLOYMENT_NAME" desc:"worker deployment that this worker belongs to (docs/temporal.md); default not set"`
	BuildID      string        `envconfig:"TEMPORAL_WORKER_BUILD_ID" desc:"build ID of this version; default the program's version"`
	HealthAddr   string        `envconfig:"HEALTH_ADDR" desc:"host:port for GET /healthz (the process is alive), /readyz (the worker serves its task queues and reaches Temporal) and /metrics (Prometheus); default off"`

	NotifySecret  string   `envconfig:"NOTIFY_SECRET" desc:"base64 secret that signs webhooks by the Standard Webhooks specification; default not signed"`
	NotifyAllowed []string `envconfig:"NOTIFY_ALLOWED" desc:"prefixes of URLs that webhooks may be sent to, separated by commas; default every https URL with a public address"`

	LogLevel  string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat string `envconfig:"LOG_FORMAT" default:"json" desc:"json or text"`
}

// temporalVariables are read by Temporal's own environment configuration, as by the temporal
// CLI.
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
	{"OTEL_EXPORTER_OTLP_ENDPOINT", "URL to send traces to (OTLP over HTTP); default: no traces are sent"},
	{"OTEL_EXPORTER_OTLP_HEADERS", "headers to send with them, such as an API key"},
	{"OTEL_SERVICE_NAME", "name in the traces; default iterable-segment-export-worker"},
	{"OTEL_RESOURCE_ATTRIBUTES", "further attributes"},
}

func readSettings() (settings, error) {
	var s settings
	err := envconfig.Process("", &s)
	if bad := (*envconfig.ParseError)(nil); errors.As(err, &bad) {
		return s, fmt.Errorf("invalid %s %q: want a value of type %s; worker --help lists the variables", bad.KeyName, bad.Value, bad.TypeName)
	}
	if err != nil {
		return s, fmt.Errorf("read the environment variables (worker --help lists them): %w", err)
	}
	if s.StagingSlots < 1 || s.UploadSlots < 1 {
		return s, fmt.Errorf("STAGING_SLOTS and UPLOAD_SLOTS must be 1 or more")
	}
	if s.BuildID == "" {
		s.BuildID = version
	}
	return s, nil
}

// workerExamples are part of the help.
const workerExamples = `
EXAMPLES
  worker                                                  # defaults: connections.yaml, data, localhost:7233
  CONNECTIONS_FILE=/etc/export/connections.yaml DATA_ROOT=s3://exports worker
  LOG_FORMAT=text HEALTH_ADDR=127.0.0.1:8080 worker
  API_ADDR=127.0.0.1:8236 AUTH_ISSUER=https://id.example.com AUTH_AUDIENCE=exports WORKER_SECRET_FILE=secret worker
  HEALTH_ADDR=127.0.0.1:8080 worker --healthcheck         # exit status 0 while that worker is ready
`

// usage prints all variables with their defaults and meanings.
func usage(w io.Writer) error {
	fmt.Fprintln(w, "worker runs the workflows and activities of iterable-segment-export. Its only flags are --help,\n--version, --healthcheck (check whether the worker on this machine is ready), --new-data-key\n(print a key for DATA_KEYS) and --restored (declare that DATA_ROOT was restored from a\nbackup). It is configured by environment variables:")
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
