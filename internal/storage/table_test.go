package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// tableOfSource returns the format of the table that a source is in, with "is" if the
// source is the table's folder.
func tableOfSource(ctx context.Context, source string) string {
	_, err := FindTable(ctx, source)
	if err == nil {
		_, err = List(ctx, source)
	}
	var in *InTable
	switch {
	case errors.As(err, &in) && in.Is:
		return "is " + in.Format
	case errors.As(err, &in):
		return in.Format
	case err != nil:
		return err.Error()
	}
	return ""
}

// tableFiles are the files of a lake with a table of each format, and of folders without
// tables. Hadoop's catalogs have many manifests before the metadata.
func tableFiles() []string {
	files := []string{
		"t[1]/_delta_log/0.json", "t[1]/data/a.parquet", "t1/data/b.parquet",
		"ice/data/a.parquet", "ice/metadata/v3.metadata.json",
		"old/data/a.parquet", "old/metadata/v1.metadata.json.gz",
		"deep/hudi/.hoodie/hoodie.properties", "deep/hudi/p=1/a.parquet",
		"{guid}/country=NO/a.parquet", "{guid}/_delta_log/0.json",
		"plain/data/a.parquet", "plain/metadata/about.json", "p*/x/a.parquet", "y=1/c=2/a.parquet", "z/y=1/z/a.parquet",
	}
	for i := range 1100 {
		files = append(files, fmt.Sprintf("ice/metadata/%08x-m0.avro", i))
	}
	return files
}

var tableSources = map[string]string{
	"t[1]": "is Delta", "t[1]/data": "Delta", "t[1]/data/*.parquet": "", "t*/data/*.parquet": "Delta", "t*": "Delta",
	"{guid}/country=NO": "Delta", "{guid}": "is Delta",
	"ice": "is Iceberg", "ice/data": "Iceberg", "ice/data/*.parquet": "Iceberg", "*/data/a.parquet": "Iceberg", "i*/data/*.parquet": "Iceberg",
	"old/data": "Iceberg", "o*/*/*.parquet": "Iceberg", "deep/hudi/p=1": "Hudi", "deep/h*/p=*/*.parquet": "Hudi",
	"plain": "", "plain/data/*.parquet": "", "pl*/data/*.parquet": "", "p*/x": "",
}

// TestTablesAreFoundInFolders: tables are found in the folders above and below a source.
func TestTablesAreFoundInFolders(t *testing.T) {
	dir := tree(t, tableFiles()...)
	for source, want := range tableSources {
		if got := tableOfSource(t.Context(), dir+"/"+source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestTablesAreFoundInBuckets(t *testing.T) {
	const root = "mem:///tables/"
	where, err := parseBucketURL(root)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := where.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tableFiles() {
		if err := bucket.WriteAll(t.Context(), "tables/"+name, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for source, want := range map[string]string{
		"p*/x": "", "{guid}/country=NO": "country=NO", "{guid}/country=NO/a.parquet": "country=NO", "y=1/c=2": "y=1/c=2", "y=1/*": "y=1", "y=*": "", "z/y=1/z": "",
	} {
		if got, err := List(t.Context(), root+source); err != nil || got[0].Partition != want {
			t.Errorf("%s is %+v, want the partition %q; %v", source, got, want, err)
		}
	}
	for source, want := range tableSources {
		if got := tableOfSource(t.Context(), root+source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// TestFoldersAboveThatCanNotBeRead: a failure must not make a table's folder a plain one. A folder
// that the worker may not read is passed over, and reported.
func TestFoldersAboveThatCanNotBeRead(t *testing.T) {
	unavailable := fmt.Errorf("503 SlowDown: %w", ErrUnavailable)
	for _, c := range []struct {
		bad    string
		err    error
		table  string
		closed string
	}{
		{"", nil, "lake/t", ""},
		{"lake/t/data", unavailable, "", ""},
		{"lake/t", unavailable, "", ""},
		{"lake/t", fs.ErrPermission, "", "lake/t"},
		{"lake/t/data", fs.ErrPermission, "lake/t", ""},
	} {
		table, closed, err := tableAround("lake/t/data", func(folder string) (string, error) {
			switch folder {
			case c.bad:
				return "", c.err
			case "lake/t":
				return Delta, nil
			}
			return "", nil
		})
		if failed := c.err != nil && c.err != fs.ErrPermission; failed != (err != nil) || failed && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: %v", c, err)
		}
		if got := strings.Join(closed, " "); got != c.closed || (table != nil) != (c.table != "") || table != nil && table.Folder != c.table {
			t.Errorf("%+v: %+v, and %q can't be read", c, table, got)
		}
	}
	dir := tree(t, "a/t/data/x.parquet", "b/t/data/x.parquet")
	for folder, name := range map[string]string{"a": "_delta_log", "b": "metadata"} {
		link(t, name, filepath.Join(dir, folder, "t", name)) // to itself
		if got := tableOfSource(t.Context(), filepath.Join(dir, folder, "t/data")); !strings.Contains(got, "too many") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestLinksIntoTables: a link can lead into a table although the folders above the link
// are not tables.
func TestLinksIntoTables(t *testing.T) {
	dir := tree(t, "lake/delta/_delta_log/0.json", "lake/delta/country=NO/a.parquet", "lake/plain/x/a.parquet", "seg/b.parquet",
		"files/b.parquet", "deep/x/b.parquet", "good/b.parquet", "moved/a.parquet")
	link(t, filepath.Join(dir, "lake/delta/country=NO"), filepath.Join(dir, "seg/current"))
	link(t, filepath.Join(dir, "lake/delta/country=NO/a.parquet"), filepath.Join(dir, "files/a.parquet"))
	link(t, "../../lake", filepath.Join(dir, "deep/x/lake"))
	link(t, filepath.Join(dir, "lake/plain/x"), filepath.Join(dir, "good/x"))
	link(t, filepath.Join(dir, "lake/plain/x/a.parquet"), filepath.Join(dir, "good/a.parquet"))
	link(t, filepath.Join(dir, "moved"), filepath.Join(dir, "lake/delta/country=SE"))
	for source, want := range map[string]string{
		"seg": "Delta", "seg/*": "Delta", "seg/c*/*.parquet": "Delta", "seg/current": "Delta", "seg/*.parquet": "",
		"files": "Delta", "files/*.parquet": "Delta", "files/a.parquet": "Delta", "files/b.parquet": "",
		"deep": "Delta", "good": "", "good/**/a.parquet": "", "lake/delta/country=SE": "Delta", "lake/delta/country=SE/a.parquet": "Delta",
	} {
		if got := tableOfSource(t.Context(), filepath.Join(dir, source)); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// TestListTable: files that keep rejects don't count towards the limit, and files that a
// writer deletes meanwhile are not an error.
func TestListTable(t *testing.T) {
	dir := tree(t, "_delta_log/0.json", "_delta_log/0.json.tmp", "_delta_log/.0.json.crc", "p=1/old.parquet", "p=1/new.parquet", "p=1/.hidden")
	link(t, "nowhere", filepath.Join(dir, "_delta_log/1.json"))
	link(t, "nowhere", filepath.Join(dir, "p=1/gone"))
	for _, c := range []struct{ source, below, suffix, want string }{
		{"", "_delta_log/", ".json", "_delta_log/0.json"},
		{"", "", "new.parquet", "p=1/new.parquet"},
		{"/*", "", "1/.hidden", "p=1/.hidden"},
		{"", "", "gone", ""},
	} {
		got, err := ListTable(t.Context(), dir+c.source, c.below, func(name string) bool { return strings.HasSuffix(name, c.suffix) })
		if err != nil || names(got) != c.want {
			t.Errorf("%s in %s of %s: %s, %v", c.suffix, c.below, c.source, names(got), err)
		}
	}
}
