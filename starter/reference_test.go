package main

import (
	"testing"

	"iterable-segment-export/internal/reference"
)

// TestTheCommandReference compares docs/commands.md with the commands.
func TestTheCommandReference(t *testing.T) {
	t.Setenv("DATA_ROOT", "")
	reference.Compare(t, "../docs/commands.md", `# Commands

This page is made from the starter's own help; a test fails when it is stale. A *RUN* is the name of an export, for its
latest run, or a run id. Every command prints JSON with `+"`-o json`"+`.

| exit status | |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | waits for an operator |

| variable | meaning |
| --- | --- |
| `+"`EXPORT_API`"+` | URL of the gateway ([access](access.md)); without it, Temporal is reached directly |
| `+"`EXPORT_TOKEN`, `EXPORT_TOKEN_FILE`, `--token-file`"+` | a token that says who you are, or a file with it, for the gateway; default that of `+"`starter login`"+` |
| `+"`DATA_ROOT`, `--data-root`, `CONNECTIONS_FILE`, `WORKER_SECRET`, `WORKER_SECRET_FILE`, `DATA_KEYS`, `DATA_KEYS_FILE`"+` | as the worker has them; for commands that reach Temporal directly |
| `+"`EXPORT_UI_URL`"+` | where Temporal's UI is, for links to it; default what goes with Temporal's address, where that is of this machine or of Temporal Cloud |

Temporal is reached by [Temporal's own variables](configuration.md#the-workers-environment).

On a terminal a run that is followed shows as bars with its rate and the time left; elsewhere as lines. Colours are for
terminals only, and never with `+"`NO_COLOR`"+`. Tables fit the terminal, or the number of columns that `+"`COLUMNS`"+` says: long
texts are wrapped between words, and where not even the words fit, rows are printed as lists.

Shells complete commands, flags and the names of exports and runs once they have the script of `+"`starter completion`"+`.

`+reference.Commands(newRoot()))
}
