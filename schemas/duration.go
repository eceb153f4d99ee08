package schemas

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration that reads and writes as text, such as "24h" or
// "1m30s", in configuration files and workflow inputs.
type Duration time.Duration

// MarshalText writes the duration in Go's notation.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads Go's notation.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("invalid duration %q: write it like 90s, 15m or 24h", text)
	}
	*d = Duration(v)
	return nil
}

// Or returns the duration, or the other one if it is zero.
func (d Duration) Or(other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return time.Duration(d)
}

// Short returns the duration without zero units, such as "2h" or "1m30s".
func (d Duration) Short() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
