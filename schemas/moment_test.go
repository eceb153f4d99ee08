package schemas

import (
	"testing"
	"time"
)

// TestTimesForPeopleHaveTheirZone: a day too is another one elsewhere.
func TestTimesForPeopleHaveTheirZone(t *testing.T) {
	at := time.Date(2024, 3, 1, 0, 30, 0, 0, time.FixedZone("", 3600))
	if m, d := Moment(at), Day(at); m != "2024-02-29 23:30:00 UTC" || d != "2024-02-29 UTC" {
		t.Error(m, d)
	}
}
