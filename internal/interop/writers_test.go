package interop

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"iterable-segment-export/internal/emulators"
)

var (
	//go:embed npm/package.json
	manifest []byte
	//go:embed npm/package-lock.json
	lock []byte
	//go:embed npm/write.mjs
	script []byte
)

// rowsOf is how many rows each file gets.
func rowsOf(t *testing.T) int {
	text := os.Getenv("INTEROP_ROWS")
	if text == "" {
		return 300
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWriters reads what DuckDB, Polars, arrow-rs, Arrow for JavaScript and hyparquet
// write, with every codec, page version and encoding that they offer.
func TestWriters(t *testing.T) {
	packages, err := emulators.NPM("interop", manifest, lock)
	if err != nil {
		t.Skipf("the writers are not installed: %v", err)
	}
	program := filepath.Join(packages, "write.mjs")
	if err := os.WriteFile(program, script, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, rows := t.TempDir(), rowsOf(t)
	node := exec.CommandContext(t.Context(), "node", program, dir, strconv.Itoa(rows))
	var stderr bytes.Buffer
	node.Stderr = &stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Logf("%s", stderr.Bytes())
	}
	files := 0
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); files++ {
		var f file
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Join(dir, f.File), f, rows)
	}
	if files < 80 {
		t.Errorf("only %d files were written", files)
	}
}

func compare(t *testing.T, path string, f file, rows int) {
	t.Helper()
	if err := check(t, path, f, rows); err != nil {
		t.Errorf("%s, %s, %s, %s: %v", f.Writer, f.Codec, f.Pages, f.Encoding, err)
		return
	}
	t.Logf("| %s | %s | %s | %s | %d columns | right |", f.Writer, f.Codec, f.Pages, f.Encoding, len(f.Columns))
}
