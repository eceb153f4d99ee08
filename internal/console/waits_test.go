package console

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// TestAWaitForDataNamesItsZone: its time is that of this machine, and the reason has times in UTC.
func TestAWaitForDataNamesItsZone(t *testing.T) {
	until := time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)
	want := "waiting for data: no _SUCCESS; goes on by itself, and asks what to do at " + until.Local().Format("2006-01-02 15:04:05 MST")
	if got := AwaitsData(schemas.DataWait{Why: "no _SUCCESS", Until: until, Then: schemas.ThenAsk}); got != want || !strings.HasSuffix(got, until.Local().Format(" MST")) {
		t.Errorf("%q, want %q", got, want)
	}
}
