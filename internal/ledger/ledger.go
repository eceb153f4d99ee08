// Package ledger keeps what the data root knows of a segment beyond one run: the snapshot of
// the list, and of each run that has not ended the staged files, Iterable's answers and its
// refusals. From these it takes account of what a run has done to the list, whether the run
// has finished, was aborted or died, and it notices when the data root is older than what was
// sent last.
package ledger

import (
	"context"
	"log/slog"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Ledger reads and writes the data root.
type Ledger struct {
	Root *storage.Root
	// TempDir is the folder for temporary files; "" is the system's.
	TempDir string
	// LastStaged returns what Temporal knows of the newest staging of a segment, or nil if it
	// knows of none. Nil is for tests without Temporal.
	LastStaged func(ctx context.Context, run schemas.RunRef) (*schemas.Staged, error)
	Log        *slog.Logger
}
