// Package runs tests whole runs: what arrives in the lists, what is reported, and what
// a run does when it can't go on.
package runs

import (
	"testing"

	"iterable-segment-export/internal/e2e/world"
)

func TestMain(m *testing.M) { world.Main(m) }
