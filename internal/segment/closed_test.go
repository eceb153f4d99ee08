package segment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
)

// TestAFolderThatMayNotBeListed: whether the source is in a table can't be told, so the report warns.
func TestAFolderThatMayNotBeListed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may list every folder")
	}
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "lake/data/a.parquet"), 10, []arrow.Record{emails(t, "a@x.com")})
	writeBytes(t, filepath.Join(dir, "lake/metadata/v1.metadata.json"), []byte("{}"))
	if err := os.Chmod(filepath.Join(dir, "lake/metadata"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "lake/metadata"), 0o700)
	if w := strings.Join(inspect(t, filepath.Join(dir, "lake/data"), Columns{Email: "email"}).Warnings(), "\n"); !strings.Contains(w, "may not list _delta_log/, .hoodie/ and metadata/ in \""+filepath.Join(dir, "lake")+"\", so it can't tell") {
		t.Errorf("warnings: %s", w)
	}
}
