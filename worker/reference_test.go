package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kelseyhightower/envconfig"

	"iterable-segment-export/internal/reference"
	"iterable-segment-export/schemas"
)

// TestTheConfigurationReference compares docs/configuration.md with the worker's
// settings and with the schemas.
func TestTheConfigurationReference(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Configuration

This page is made from the JSON Schemas and from the worker's settings; a test fails when it is stale.

## connections.yaml

The administrators' file, read by the worker ([example](../examples/connections.yaml),
[schema](../schemas/connections.schema.json), [connections](connections.md)). It is re-read when it changes. One entry of
` + "`connections`" + ` has:

`)
	connections, err := reference.Schema(schemas.ConnectionsSchema, "connections")
	if err != nil {
		t.Fatal(err)
	}
	page.WriteString(connections)
	page.WriteString(`
## exports.yaml

The contributors' file, read by ` + "`starter apply`" + ` and ` + "`starter check --file`" + ` ([example](../examples/exports.yaml),
[schema](../schemas/exports.schema.json), [exports](exports.md)). Besides ` + "`refresh`" + `, the system's scheduled refresh, it
has ` + "`exports`" + `, of which one has:

`)
	exports, err := reference.Schema(schemas.ExportsSchema, "exports")
	if err != nil {
		t.Fatal(err)
	}
	page.WriteString(exports)
	page.WriteString("\n## The worker's environment\n\n`worker --help` prints it too.\n\n| variable | default | meaning |\n| --- | --- | --- |\n")
	const format = "{{range .}}| `{{usage_key .}}` | {{with usage_default .}}`{{.}}`{{end}} | {{usage_description .}} |\n{{end}}"
	if err := envconfig.Usagef("", &settings{}, &page, format); err != nil {
		t.Fatal(err)
	}
	for _, group := range []struct {
		text      string
		variables [][2]string
	}{
		{"Temporal is reached as the `temporal` CLI reaches it, by the same variables and profiles, from the worker and from the starter:", temporalVariables},
		{"Traces are sent as OpenTelemetry's own variables say:", tracingVariables},
	} {
		fmt.Fprintf(&page, "\n%s\n\n| variable | meaning |\n| --- | --- |\n", group.text)
		for _, v := range group.variables {
			fmt.Fprintf(&page, "| `%s` | %s |\n", v[0], v[1])
		}
	}
	reference.Compare(t, "../docs/configuration.md", page.String())
}
