package delta

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/storage"
)

// FuzzLog reads any text as a table's first commit, and any path as that of its file. The result
// must be a table with files in its folder, or an error.
func FuzzLog(f *testing.F) {
	const meta = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"email\",\"type\":\"string\"},{\"name\":\"p\",\"type\":\"decimal(10,2)\"}]}","partitionColumns":["p"]}}
`
	f.Add(meta+`{"add":{"path":"a%2520b.parquet","partitionValues":{"p":"1.5"},"size":1}}`, "a%20b.parquet")
	f.Add(meta+`{"add":{"path":"a","partitionValues":{"p":null},"deletionVector":{"storageType":"i","pathOrInlineDv":"wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L","sizeInBytes":44,"cardinality":6}}}`, "a")
	f.Add(meta+`{"add":{"path":"../../etc/passwd"}}`, "..")
	f.Fuzz(func(t *testing.T, log, name string) {
		dir := t.TempDir()
		write := func(name, content string) {
			if os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700) == nil {
				_ = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
			}
		}
		write("_delta_log/00000000000000000000.json", log)
		if filepath.IsLocal(name) && !strings.ContainsRune(name, 0) {
			write(name, "x")
		}
		table, err := Read(t.Context(), func(below string, keep func(name string) bool) ([]storage.Object, error) {
			return storage.ListTable(t.Context(), dir, below, keep)
		}, Latest, true)
		if err != nil {
			if len(err.Error()) < 10 {
				t.Errorf("%q explains nothing", err)
			}
			return
		}
		for _, file := range table.Files {
			if !isBelow(file.Name) {
				t.Errorf("the file %q lies outside", file.Name)
			}
			for i := range table.Columns {
				if v, err := table.Columns[i].Constant(file.Partition[table.Columns[i].Physical]); err == nil && v.Len() != 1 {
					t.Errorf("a partition value has %d elements", v.Len())
				}
			}
			if st := file.Statistics(); st != nil {
				for i := range table.Columns {
					if b := st.Bounds(&table.Columns[i]); b.Range != nil && b.Range.Len() != 2 || b.Nulls > st.Rows {
						t.Errorf("the bounds of a column are %+v", b)
					}
				}
			}
			rows, err := file.Rows(t.Context(), 1<<20)
			if err == nil && rows != nil && rows.GetCardinality() != uint64(file.Deleted()) {
				t.Errorf("%d rows are deleted, and %d were read", file.Deleted(), rows.GetCardinality())
			}
		}
	})
}
