package segment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/storage"
)

// TestReadDoesNotParseFootersAgain reads files that can no longer be opened, since their first bytes
// have changed: Inspect has kept what their footers say.
func TestReadDoesNotParseFootersAgain(t *testing.T) {
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "a"), 10, []arrow.Record{emails(t, "a@x.com")})
	writeIPCFile(t, filepath.Join(dir, "b"), []arrow.Record{emails(t, "b@x.com")})
	s := inspect(t, dir, Columns{Email: "email"})
	for _, name := range []string{"a", "b"} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("none"), 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	found, err := storage.Survey(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range found.Objects {
		s.files[i].Object = o
		s.files[i].ETag = "x" // so that the footer's bytes are not compared
	}
	if got := strings.Join(rows(t, s, Options{}), "|"); got != "email=a@x.com |email=b@x.com " {
		t.Error(got)
	}
	s.files[0].file = nil
	if err := readErr(s.Read(t.Context(), Options{})); err == nil || !strings.Contains(err.Error(), "not a Parquet or Arrow file") {
		t.Errorf("a file without a footer: %v", err)
	}
}
