package segment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// fuzz reads whatever it is given: rows or an *Error is what may come out.
func fuzz(f *testing.F, kind string) {
	rec := profiles(f, 0, 20)
	for name, write := range writers {
		if !strings.HasPrefix(name, kind) {
			continue
		}
		dir := f.TempDir()
		write(f, dir, rec)
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		data, err := os.ReadFile(files[0])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		writeBytes(t, path, data)
		err := readAll(t, path, Columns{Email: "contact.email", UserID: "id", Fields: schemas.Fields{All: true}})
		if _, ok := err.(*Error); err != nil && !ok {
			t.Errorf("%T is no *Error: %v", err, err)
		}
	})
}

func FuzzParquet(f *testing.F) { fuzz(f, "parquet") }
func FuzzArrow(f *testing.F)   { fuzz(f, "arrow") }
