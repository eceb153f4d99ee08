package main

import (
	"testing"

	"iterable-segment-export/internal/reference"
)

// TestTheCommandReference compares docs/commands.md with the commands.
func TestTheCommandReference(t *testing.T) {
	t.Setenv("DATA_ROOT", "")
	reference.Compare(t, "../docs/commands.md", `# Commands

For operators and contributors who look up a command of the starter: this page lists every command with its flags and examples.
It is generated from the starter's help; a test fails when it is stale. A *RUN* is the name of an export, for its latest run, or a
run ID. Every command except help and completion prints JSON with `+"`-o json`"+` and YAML with `+"`-o yaml`"+`, and
[a schema](../schemas/output.schema.json) describes both; only `+"`starter exports -o yaml`"+` prints a file for `+"`starter apply`"+`,
with [its schema](../schemas/exports.schema.json). `+"`starter exports`, `connections`, `runs` and `status`"+` print names, one a
line, with `+"`-o name`"+`.

| exit status | |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | waiting for an operator |
| 4 | there are changes (starter apply --plan --detailed-exitcode) |
| 5 | a segment was skipped, because its data was not ready in time |

| variable | meaning |
| --- | --- |
| `+"`EXPORT_API`"+` | URL of the gateway ([access](access.md)); without it, the starter connects to Temporal |
| `+"`SSL_CERT_FILE`"+` | file with certificate authorities to trust, such as that of the gateway; default the system's |
| `+"`EXPORT_TOKEN`, `EXPORT_TOKEN_FILE`, `--token-file`"+` | your token for the gateway, or a file with it; default that of `+"`starter login`"+` |
| `+"`DATA_ROOT`, `--data-root`, `CONNECTIONS_FILE`, `WORKER_SECRET`, `WORKER_SECRET_FILE`, `DATA_KEYS`, `DATA_KEYS_FILE`"+` | as for the worker; used without a gateway |
| `+"`EXPORT_UI_URL`"+` | URL of Temporal's UI, for links to it; default for Temporal on port 7233 of this machine and for Temporal Cloud |
| `+"`ITERABLE_SANDBOX_PORT`"+` | port of the sandbox, if it is not 8234: connections to `+"`http://127.0.0.1:8234`"+` then lead to this port. `+"`worker/dev --sandbox-port`"+` prints it; used without a gateway |

The connection to Temporal is configured by [Temporal's own variables](configuration.md#the-workers-environment), which
`+"`--address`, `--namespace` (`-n`), `--profile` and `--config-file`"+` override, as in the `+"`temporal`"+` CLI.

On a terminal, the progress of runs is shown as bars with the rate and the remaining time, elsewhere as lines. Colours are used only
on terminals, and not with `+"`NO_COLOR`"+`. Tables fit the terminal, or the number of columns in `+"`COLUMNS`"+`: long texts are wrapped
between words, and if even the words do not fit, rows are printed as lists.

`+"`starter completion`"+` prints the script with which a shell completes commands, flags and the names of exports and runs.

`+reference.Commands(newRoot()))
}
