package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// tableOfSource is the format of the table that keeps a source from being listed, with
// "is" where the source is the table's folder.
func tableOfSource(ctx context.Context, source string) string {
	err := FindTable(ctx, source)
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

// tableFiles are the files of a lake with a table of each format, and of folders that
// are none. Hadoop's catalogs have many manifests before the metadata.
func tableFiles() []string {
	files := []string{
		"t[1]/_delta_log/0.json", "t[1]/data/a.parquet", "t1/data/b.parquet",
		"ice/data/a.parquet", "ice/metadata/v3.metadata.json",
		"old/data/a.parquet", "old/metadata/v1.metadata.json.gz",
		"deep/hudi/.hoodie/hoodie.properties", "deep/hudi/p=1/a.parquet",
		"{guid}/country=NO/a.parquet", "{guid}/_delta_log/0.json",
		"plain/data/a.parquet", "plain/metadata/about.json", "p*/x/a.parquet",
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

// TestTablesAreFoundInFolders: whatever a source is read as, the folders above and
// below that are looked at.
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
	for source, want := range tableSources {
		if got := tableOfSource(t.Context(), root+source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// TestLinksIntoTables: a link leads into a table although no folder above it is one.
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
