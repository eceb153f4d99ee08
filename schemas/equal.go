package schemas

import (
	"bytes"
	"encoding/json"
)

// Equal reports whether two values are the same as Temporal carries them, in JSON.
func Equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
