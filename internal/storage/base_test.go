package storage

import (
	"path/filepath"
	"testing"
)

func TestBase(t *testing.T) {
	dir := t.TempDir()
	for source, want := range map[string]string{
		filepath.Join(dir, "never"):                      filepath.Join(dir, "never"),
		filepath.Join(dir, "never", "*.parquet"):         filepath.Join(dir, "never"),
		"file://" + dir + "/never/{a,b}/*.parquet":       filepath.Join(dir, "never"),
		"s3://lake/never":                                "s3://lake/never",
		"s3://lake/never/year=*/x.parquet?region=eu-1":   "s3://lake/never?region=eu-1",
		"gs://lake/*.parquet":                            "gs://lake",
		"abfss://c@a.dfs.core.windows.net/never/*.arrow": "abfss://c@a.dfs.core.windows.net/never",
	} {
		got, pattern, err := Base(source)
		if err != nil || got != want || pattern != (source != want) {
			t.Errorf("%s: %s, %t, %v, want %s", source, got, pattern, err, want)
		}
		if _, err := Within(source, []string{got}); err != nil {
			t.Errorf("%s is not in its base: %v", source, err)
		}
	}
	if _, _, err := Base(""); err == nil {
		t.Error("an empty source has a base")
	}
}

func TestCovers(t *testing.T) {
	dir := tree(t, "never/a/x.arrow", "never/y.arrow", "other/x.arrow")
	link(t, filepath.Join(dir, "never"), filepath.Join(dir, "linked"))
	for _, c := range []struct {
		source, place string
		whole, want   bool
	}{
		{dir + "/never/*/*.arrow", dir + "/never/a/x.arrow", false, true},
		{dir + "/never/*", dir + "/never/a/x.arrow", false, true}, // in a folder that matches
		{dir + "/never/*.arrow", dir + "/never/a/x.arrow", false, false},
		{dir + "/never/*.arrow", dir + "/never/a/x.arrow", true, true},
		{dir + "/never/*", dir + "/other/x.arrow", true, false},
		{dir + "/never/*", dir, true, false},
		{dir + "/never", fileURL(dir + "/never/y.arrow"), false, true},
		{dir + "/linked/*.arrow", dir + "/never/y.arrow", false, true},
		{dir + "/never/y.arrow", dir + "/linked/y.arrow", false, true},
		{dir + "/**/x.arrow", dir + "/other/x.arrow", false, true},
		{dir + "/*", "s3://lake/x", true, false},
		{"s3://lake/*/never.arrow", "s3://lake/a/never.arrow", false, true},
		{"s3://lake/never-*.arrow", "s3://lake/never-1.arrow?region=eu-1", false, true},
		{"s3://lake/never-*.arrow?region=eu-1", "s3://lake/never-1.arrow", false, true},
		{"azblob://c/never?storage_account=a", "azblob://c/never/x?storage_account=b", false, false},
		{"s3://lake/never-*.arrow", "s3://other/never-1.arrow", true, false},
		{"s3://lake/a/never-*.arrow", "s3://lake/b/never-1.arrow", true, false},
		{"s3://lake/a/never-*.arrow", "s3://lake/a/x", true, true},
		{"s3://lake", "s3://lake/x", false, true},
	} {
		if got := Covers(c.source, c.place, c.whole); got != c.want {
			t.Errorf("%s of %s (whole: %t): %t", c.source, c.place, c.whole, got)
		}
	}
}
