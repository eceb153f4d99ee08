package segment

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func FuzzParquet(f *testing.F)     { fuzz(f, "parquet") }
func FuzzArrowFile(f *testing.F)   { fuzz(f, "arrow file") }
func FuzzArrowStream(f *testing.F) { fuzz(f, "arrow stream") }

// fuzz reads its input. The result must be rows, or an *Error that names the file.
func fuzz(f *testing.F, kind string) {
	for _, rows := range []int{1, 20} {
		for name, write := range writers {
			if strings.HasPrefix(name, kind) {
				f.Add(written(f, write, rows))
			}
		}
	}
	forms, _ := newForms(20)
	switch kind {
	case "arrow file":
		f.Add(arrowFileBytes(f, forms, ipc.WithZstd()))
	case "arrow stream":
		f.Add(streamBytes(f, forms))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "fuzzed.file")
		writeBytes(t, path, data)
		for _, want := range []Columns{
			{Email: "contact.email", UserID: "id", Fields: schemas.Fields{All: true}},
			{Email: "email"}, // as the seeds of one column have it
		} {
			if err := readAll(t, path, want); err != nil {
				explained(t, err)
			}
		}
	})
}

// written is the file that a writer makes of so many rows.
func written(t testing.TB, write func(testing.TB, string, arrow.Record), rows int) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, profiles(t, 0, rows))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refusals are the types that the error about a broken file may have.
var refusals = []schemas.ErrorType{schemas.ErrorSegmentUnreadable, schemas.ErrorColumn}

// explained wants an error about a broken file that names it, and its trouble.
func explained(t testing.TB, err error) {
	t.Helper()
	e, ok := err.(*Error)
	switch {
	case !ok:
		t.Errorf("%T is not an *Error: %v", err, err)
	case !slices.Contains(refusals, e.Type):
		t.Errorf("the type is %q: %v", e.Type, err)
	case e.File == "" || !strings.Contains(err.Error(), e.File) || e.Err == nil || len(e.Err.Error()) < 10:
		t.Errorf("%q does not name the file and its trouble", err)
	case len(err.Error()) > 10_000:
		t.Errorf("a message of %d bytes: %.200s…", len(err.Error()), err)
	}
}

// FuzzPartitions infers the partitions of two paths: each value is one element, null only
// if the folder says so, and both paths have one type of a column.
func FuzzPartitions(f *testing.F) {
	f.Add("country=NO/n=1/a.parquet", "country=S%2FE/n=x/b.parquet")
	f.Add("d=2026-11-25/__HIVE_DEFAULT_PARTITION__/a", "d=__HIVE_DEFAULT_PARTITION__/a")
	f.Add("t=2026-11-25 08%3A15%3A30.1234567/p=(null)/a", "t=2026-11-25 08%3A15%3A30,5/p=1/a")
	f.Add("=x/a=/%zz=%/a", "t=2026-11-25 08%3A15%3A30/1e9=1e9/a")
	f.Fuzz(func(t *testing.T, a, b string) {
		types := map[string]string{}
		objects := []storage.Object{{Name: a}, {Name: b}}
		for i, values := range partitions(objects, []string{"n"}) {
			for j, v := range values {
				if v.value == nil || v.value.Len() != 1 {
					t.Fatalf("%q has no value", v.name)
				}
				null := v.value.IsNull(0) || v.value.DataType().ID() == arrow.NULL
				if text := folderValues(objects[i])[j][1]; null != (text == nullPartition) {
					t.Errorf("%q is null: %t, and the folder has %q", v.name, null, text)
				}
				kind := v.value.DataType().String()
				if before, ok := types[v.name]; ok && kind != "null" && before != "null" && before != kind {
					t.Errorf("%q is %s and %s", v.name, before, kind)
				}
				if kind != "null" {
					types[v.name] = kind
				}
			}
		}
	})
}
