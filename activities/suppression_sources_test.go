package activities

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/sources"
	"iterable-segment-export/schemas"
)

// TestSuppressionListsAreNoSegments: an export can't read a suppression list, wherever it is, and
// the run can.
func TestSuppressionListsAreNoSegments(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	file := func(parts ...string) string {
		name := filepath.Join(parts...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		writeIdentities(t, name, []identity{{"ann@example.com", ""}})
		return name
	}
	file(dir, "spring", "a.arrow")
	never := file(dir, "never", "a.arrow")
	single := file(dir, "spring-never.arrow")
	pattern := file(dir, "closed", "x", "a.arrow")
	outside := file(elsewhere, "a.arrow")
	beside := file(dir, "complaints-1.arrow")
	below := file(dir, "days", "2026", "complaints", "a.arrow")
	if err := os.Symlink(never, filepath.Join(dir, "linked.arrow")); err != nil {
		t.Fatal(err)
	}
	c := schemas.Connection{Name: "marketing", AllowedSources: []string{dir, filepath.Join(dir, "never")}, Suppress: []schemas.Suppression{
		{Name: "A", Source: filepath.Join(dir, "never"), Email: "Mail"},
		{Name: "B", Source: single, Email: "Mail"},
		{Name: "C", Source: filepath.Join(dir, "closed", "*", "*.arrow"), Email: "Mail"},
		{Name: "D", Source: elsewhere, Email: "Mail"},
		{Name: "E", Source: filepath.Join(dir, "complaints-*.arrow"), Email: "Mail"},
		{Name: "F", Source: filepath.Join(dir, "**", "complaints"), Email: "Mail"},
	}}
	for _, list := range c.Suppress {
		if _, err := sources.OfSuppression(t.Context(), c, list); err != nil {
			t.Errorf("list %s: %v", list.Name, err)
		}
	}
	for source, refused := range map[string]bool{
		filepath.Join(dir, "spring"):        false,
		filepath.Join(dir, "never"):         true,
		never:                               true,
		single:                              true,
		pattern:                             true,
		outside:                             true,
		beside:                              true,
		below:                               true,
		filepath.Join(dir, "days"):          true,
		filepath.Join(dir, "linked.arrow"):  true,
		filepath.Join(dir, "*.arrow"):       true,
		filepath.Join(dir, "s*", "*.arrow"): false,
	} {
		_, err := sources.Files(t.Context(), c, source, segment.Search{Version: segment.Latest})
		var app *temporal.ApplicationError
		if (err != nil) != refused || err != nil && (!errors.As(err, &app) || app.Type() != schemas.ErrorSourceNotAllowed) {
			t.Errorf("%s: %v, want refused %t", source, err, refused)
		}
	}
}

// TestChangedSuppressionListsAreNoticed: after a wait, a list with other files, and another list.
func TestChangedSuppressionListsAreNoticed(t *testing.T) {
	var list string
	b, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, []identity{{"bob@example.com", ""}}, func(folder string) []schemas.Suppression {
		list = filepath.Join(folder, "never.arrow")
		writeIdentities(t, list, []identity{{"ann@example.com", ""}})
		return []schemas.Suppression{{Name: "Complaints", Source: folder, Email: "Mail"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	same := func() schemas.ErrorType {
		var app *temporal.ApplicationError
		if err := b.sameLists(t.Context(), "sandbox", m.SuppressionLists); errors.As(err, &app) {
			return app.Type()
		} else if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	if got := same(); got != "" {
		t.Errorf("unchanged: %s", got)
	}
	writeIdentities(t, list, []identity{{"ann@example.com", ""}, {"bob@example.com", ""}})
	if got := same(); got != schemas.ErrorSuppressionChanged {
		t.Errorf("with one more entry: %q", got)
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	if got := same(); got != schemas.ErrorSuppression {
		t.Errorf("without the file: %q", got)
	}
	m.SuppressionLists = append(m.SuppressionLists, schemas.SuppressionCount{Name: "B"})
	if got := same(); got != schemas.ErrorSuppressionChanged {
		t.Errorf("with a list less: %q", got)
	}
}
