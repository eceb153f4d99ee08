package forgotten

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// TestKnownProfiles: a late answer does not replace a newer one, and a report that Iterable's
// list lacks holds for a day.
func TestKnownProfiles(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	s := Store{Root: root, Log: slog.New(slog.DiscardHandler)}
	sum := func(address string) string {
		h := sha256.Sum256([]byte(address))
		return hex.EncodeToString(h[:])
	}
	known := func(when string, want ...string) {
		t.Helper()
		all, err := s.Known(t.Context(), "sandbox")
		if err != nil || len(all) != len(want) {
			t.Fatalf("%s: %d profiles, want %d, %v", when, len(all), len(want), err)
		}
		for _, address := range want {
			if !all.Has([]byte(address), nil, schemas.ProjectEmail) {
				t.Errorf("%s: %s is not known", when, address)
			}
		}
	}
	replace := func(asked time.Time, addresses ...string) {
		t.Helper()
		var sums []string
		for _, a := range addresses {
			sums = append(sums, sum(a))
		}
		if err := s.Replace(t.Context(), "sandbox", asked, sums); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	if err := s.Remember(t.Context(), "sandbox", "1", People{HashOf([]byte("ann@example.com"))}); err != nil {
		t.Fatal(err)
	}
	known("reported", "ann@example.com")
	replace(now, "bob@example.com")
	known("listed", "ann@example.com", "bob@example.com")
	replace(now.Add(-time.Hour), "eve@example.com")
	known("after a late answer", "ann@example.com", "bob@example.com")
	replace(now.Add(25*time.Hour), "bob@example.com")
	known("a day later", "bob@example.com")
	if err := s.Replace(t.Context(), "sandbox", now, []string{"ann@example.com"}); err == nil {
		t.Error("an entry that is not a SHA-256 sum is accepted")
	}
}
