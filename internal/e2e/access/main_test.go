// Package access tests who may do what, as people with and without rights try it:
// through the gateway, with the starter, and in Temporal itself.
package access

import (
	"testing"

	"iterable-segment-export/internal/e2e/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// repository is the folder of the go.mod, seen from this package.
const repository = "../../.."
