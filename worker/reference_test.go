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

For administrators and contributors who look up a setting: this page lists all settings of connections.yaml, of exports.yaml and
of the worker. It is generated from the JSON Schemas and the worker's settings; a test fails when it is stale.

## connections.yaml

The administrators' file, which the worker reads ([example](../examples/connections.yaml),
[schema](../schemas/connections.schema.json), [connections](connections.md)). The worker reads it again when it changes. An entry
of ` + "`connections`" + ` has:

`)
	connections, err := reference.Schema(schemas.ConnectionsSchema, "connections")
	if err != nil {
		t.Fatal(err)
	}
	page.WriteString(connections)
	page.WriteString(`
## exports.yaml

The contributors' file, for ` + "`starter apply`" + ` and ` + "`starter check --file`" + ` ([example](../examples/exports.yaml),
[schema](../schemas/exports.schema.json), [exports](exports.md)). Besides ` + "`refresh`" + `, the common schedule, it has
` + "`exports`" + `. An entry has:

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
		{"Worker and starter connect to Temporal like the `temporal` CLI, with the same variables and profiles:", temporalVariables},
		{"OpenTelemetry's own variables configure traces:", tracingVariables},
	} {
		fmt.Fprintf(&page, "\n%s\n\n| variable | meaning |\n| --- | --- |\n", group.text)
		for _, v := range group.variables {
			fmt.Fprintf(&page, "| `%s` | %s |\n", v[0], v[1])
		}
	}
	reference.Compare(t, "../docs/configuration.md", page.String())
}
