package operate

import (
	"testing"

	"iterable-segment-export/schemas"
)

// TestWhatSomebodyPausedStaysPaused: another connection ends a pause that was for the
// connection, and no other.
func TestWhatSomebodyPausedStaysPaused(t *testing.T) {
	consent := schemas.ConsentRecord{Connection: "marketing", By: "ann"}
	for note, want := range map[string]bool{
		detachedNote(consent, false): true, detachedNote(consent, true): false, "Paused by ann": false, "": false,
	} {
		if forConnection(note) != want {
			t.Errorf("%q: goes on %v, want %v", note, !want, want)
		}
	}
}
