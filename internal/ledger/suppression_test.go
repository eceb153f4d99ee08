package ledger

import (
	"log/slog"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// TestSizesOfSuppressionLists are of a connection and a list. One is lowered only by a run that was
// compared with it.
func TestSizesOfSuppressionLists(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	l := &Ledger{Root: root, Log: slog.New(slog.DiscardHandler)}
	has := func(connection, list string, want int64) {
		t.Helper()
		if n, err := l.SuppressionCount(t.Context(), connection, list); err != nil || n != want {
			t.Errorf("list %s of %s: %d, want %d; %v", list, connection, n, want, err)
		}
	}
	keep := func(connection, list string, before, entries int64) {
		t.Helper()
		if err := l.KeepSuppressionCounts(t.Context(), connection, []schemas.SuppressionCount{{Name: list, Before: before, Entries: entries}}); err != nil {
			t.Fatal(err)
		}
	}
	has("mail", "A", 0)
	keep("mail", "A", 0, 100)
	has("mail", "A", 100)
	has("mail", "B", 0)
	has("shop", "A", 0)
	keep("mail", "A", 0, 10) // staged before there was a count, and so not asked about
	has("mail", "A", 100)
	keep("mail", "A", 100, 90)
	has("mail", "A", 90)
	keep("mail", "A", 100, 10) // approved, but another run has lowered the count meanwhile
	has("mail", "A", 90)
	keep("mail", "A", 90, 10)
	has("mail", "A", 10)
	keep("mail", "A", 10, 95)
	has("mail", "A", 95)

	// A data root may have only the counts of segments.
	for segment, counts := range map[string]string{"One": `{"C":50}`, "Two": `{"C":80,"A":1000}`, "Damaged": `{`} {
		key := Key(schemas.RunRef{Connection: "mail", Export: "Old", Segment: segment}, segmentCounts)
		if err := root.Write(t.Context(), key, []byte(counts)); err != nil {
			t.Fatal(err)
		}
	}
	has("mail", "A", 95)
	has("mail", "C", 80)
	has("shop", "C", 0)
	keep("mail", "C", 50, 7)
	has("mail", "C", 80)
	keep("mail", "C", 80, 7)
	has("mail", "C", 7)
	keep("mail", "C", 7, 80)
	if err := root.DeletePrefix(t.Context(), dataroot.ConnectionSnapshots("mail")); err != nil {
		t.Fatal(err)
	}
	has("mail", "C", 80)
}
