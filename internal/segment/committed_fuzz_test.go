package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzCommitted reads any content of a _committed_ file: it never fails in another way than
// an *Error, and only files that are there count.
func FuzzCommitted(f *testing.F) {
	for _, seed := range []string{`{"added": ["part-0-tid-11-x"], "removed": []}`, `{"added": null, "removed": ["by-hand"]}`, `{}`, `[]`, `null`, "ä", `{"added": [1]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"_committed_11": content, "part-0-tid-11-x": []byte("x"), "by-hand": []byte("x")} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := locate(t, dir)
		var bad *Error
		switch {
		case errors.As(err, &bad), errors.Is(err, fs.ErrNotExist):
		case err != nil:
			t.Fatalf("%q: %v", content, err)
		case len(l.objects) > 2 || len(l.writing) > 0:
			t.Fatalf("%q: %v %v", content, l.objects, l.writing)
		}
	})
}
