package segment

import (
	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
)

// isWhole reports whether all values of a type are whole numbers. Snowflake and Oracle
// write integers as decimals with scale 0.
func isWhole(dt arrow.DataType) bool {
	dt = columnar.Decoded(dt)
	if decimal, ok := dt.(arrow.DecimalType); ok {
		return decimal.GetScale() == 0
	}
	return arrow.IsInteger(dt.ID())
}

// identifies reports whether a column of that type can identify profiles.
func identifies(role Role, dt arrow.DataType) bool {
	switch k := columnar.KindOf(dt); {
	case k == columnar.KindNull, k == columnar.KindText:
		return true
	default:
		return role == UserID && isWhole(dt)
	}
}
