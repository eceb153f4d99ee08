package access_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
)

// TestAnEmptyFileOfSecretsIsAnError: without secrets runs would be started without grants, which
// the workers refuse later.
func TestAnEmptyFileOfSecretsIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	for content, want := range map[string][]string{"": nil, " \n": nil, "new\nold\n": {"new", "old"}} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := access.ReadSecrets("", file)
		if !slices.Equal(got, want) || (want == nil) != (err != nil && strings.Contains(err.Error(), "openssl rand")) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}
