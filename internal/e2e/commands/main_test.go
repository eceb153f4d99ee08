// Package commands tests what operators type and see: the command line, the pages of
// the documentation, roles, schedules and Temporal's UI.
package commands

import (
	"testing"

	"iterable-segment-export/internal/e2e/world"
)

func TestMain(m *testing.M) { world.Main(m) }
