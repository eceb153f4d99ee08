package sweep

import (
	"context"
	"slices"
	"testing"
	"time"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/trial"
	"iterable-segment-export/schemas"
)

// TestPeopleOfOldTrials are deleted, and the salt of their keys is not.
func TestPeopleOfOldTrials(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := trial.Sum(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	name, err := trial.Keep(t.Context(), root, "marketing", "Spring (trial)", []string{"ann@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	key := schemas.TrialKey("marketing", "Spring (trial)", name)
	sweepsTo(t, root, 47*time.Hour, []string{key, schemas.TrialSaltKey})
	sweepsTo(t, root, 49*time.Hour, []string{schemas.TrialSaltKey})
}

// sweepsTo sweeps as if so much time had gone by, and compares what is left of trials.
func sweepsTo(t *testing.T, root *storage.Root, later time.Duration, want []string) {
	t.Helper()
	s := Sweeper{
		Ledger: &ledger.Ledger{Root: root}, Retention: func() schemas.Retention { return schemas.Retention{} },
		Now: func(context.Context) (time.Time, error) { return time.Now().Add(later), nil },
	}
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := root.List(t.Context(), schemas.TrialsDir)
	var names []string
	for _, o := range left {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("after %s there are %v, want %v, %v", later, names, want, err)
	}
}
