package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/storage"
)

// TestATroubledDataRootNeedsNoOperator tells staged files that are gone or damaged
// from those that only can't be reached.
func TestATroubledDataRootNeedsNoOperator(t *testing.T) {
	dir := t.TempDir()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	a := &Ledger{Root: root}
	for name, c := range map[string]struct {
		prepare  func(path string) error
		operator bool
	}{
		"missing":     {func(string) error { return nil }, true},
		"damaged":     {func(path string) error { return os.WriteFile(path, []byte("ARROW1 and no more"), 0o600) }, true},
		"unreachable": {func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name, "adds.arrow")
			if name != "unreachable" {
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.prepare(path); err != nil {
				t.Fatal(err)
			}
			_, err := a.OpenStaged(context.Background(), name+"/adds.arrow")
			if err == nil {
				t.Fatal("it opened")
			}
			var app *temporal.ApplicationError
			asks := errors.As(StagingError("the staged file", err), &app) && app.NonRetryable()
			if asks != c.operator {
				t.Errorf("asks an operator: %v, want %v: %v", asks, c.operator, err)
			}
		})
	}
}
