package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/storage"
)

// TestMarkersAreLeftOut: a marker beside the data is no part of it, unless it has rows.
func TestMarkersAreLeftOut(t *testing.T) {
	const stream = "\xff\xff\xff\xff\x10\x00\x00\x00"
	for name, c := range map[string]struct {
		marker  string
		files   map[string]string // their content
		want    string
		warning string
	}{
		"empty":                  {"READY", map[string]string{"READY": "", "a.parquet": "x"}, "a.parquet", ""},
		"with text":              {"READY", map[string]string{"READY": "at four", "a.parquet": "x"}, "a.parquet", ""},
		"with the path of a dot": {"./READY", map[string]string{"READY": "", "a.parquet": "x"}, "a.parquet", ""},
		"a pattern":              {"*.{ok,done}", map[string]string{"a.ok": "{}", "b.done": "", "a.parquet": "x"}, "a.parquet", ""},
		"of other days":          {"done/{date}.ok", map[string]string{"done/2026-01-31.ok": "", "done/2026-01-30.ok": "x", "a.parquet": "x"}, "a.parquet", ""},
		"of text files":          {"done/{date}.txt", map[string]string{"done/2026-01-31.txt": "", "README.md": "", "a.parquet": "x"}, "a.parquet", "left out: README.md"},
		"a folder for each day":  {"{date}/DONE", map[string]string{"2026-01-31/DONE": "", "2026-01-31/a.parquet": "x"}, "2026-01-31/a.parquet", ""},
		"elsewhere":              {"READY", map[string]string{"d=1/READY": "", "a.parquet": "x"}, "a.parquet d=1/READY", ""},
		"alone":                  {"READY", map[string]string{"READY": ""}, "", ""},
		"no marker":              {"", map[string]string{"READY": "", "a.parquet": "x"}, "READY a.parquet", ""},
		"Parquet":                {"part-1", map[string]string{"part-0": "PAR1", "part-1": "PAR1"}, "part-0 part-1", ""},
		"an Arrow stream":        {"part-1", map[string]string{"part-0": stream, "part-1": stream}, "part-0 part-1", ""},
		"damaged data":           {"*.PARQUET", map[string]string{"a.PARQUET": "\x00\x00", "b.PARQUET": ""}, "a.PARQUET b.PARQUET", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l, err := Locate(t.Context(), dir, Search{Version: Latest, Marker: c.marker}, func(o storage.Object) (storage.Object, error) { return o, nil })
			if (c.want == "") != errors.Is(err, fs.ErrNotExist) || c.want != "" && err != nil {
				t.Fatal(err)
			}
			if got := located(l); got != c.want {
				t.Errorf("files %q, want %q", got, c.want)
			}
			if w := strings.Join(l.warnings, "; "); (c.warning == "") != (w == "") || !strings.Contains(w, c.warning) {
				t.Errorf("warnings %q, want %q", w, c.warning)
			}
		})
	}
}
