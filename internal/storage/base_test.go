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
