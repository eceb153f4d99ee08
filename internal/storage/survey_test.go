package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// notes are the names of what a survey finds beside the files.
func notes(f Found) string {
	var out []string
	for _, n := range f.Notes {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

func TestSurveyFindsTheNotesOfWriters(t *testing.T) {
	dir := tree(t, "a.parquet", "_SUCCESS", ".hidden", "_started_1", "_committed_1", "_temporary/0/task/b.parquet", "year=2026/c.parquet",
		"year=2026/__magic_job-7/d.pending", "year=2026/.spark-staging-8/e", "other/_temporary/0/f", "new/_temporary/0/g")
	for _, empty := range []string{"idle/_temporary", "idle/deeper"} {
		if err := os.MkdirAll(filepath.Join(dir, empty), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for source, want := range map[string]string{
		"/":                      "_committed_1 _started_1 _temporary/0 new/_temporary/0 other/_temporary/0 year=2026/.spark-staging-8/e year=2026/__magic_job-7/d.pending",
		"/*.parquet":             "_committed_1 _started_1 _temporary/0",
		"/a*.parquet":            "_committed_1 _started_1 _temporary/0",
		"/year=*/*.parquet":      "_committed_1 _started_1 _temporary/0 year=2026/.spark-staging-8/e year=2026/__magic_job-7/d.pending",
		"/year=2026":             ".spark-staging-8/e __magic_job-7/d.pending",
		"/a.parquet":             "",
		"/new":                   "_temporary/0",
		"/idle":                  "",
		"/other/**/nothing.file": "_temporary/0",
	} {
		found, err := Survey(t.Context(), dir+source)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if got := notes(found); got != want {
			t.Errorf("%s: notes %q, want %q", source, got, want)
		}
		if hasFiles := source != "/new" && source != "/idle" && !strings.Contains(source, "nothing"); (len(found.Objects) > 0) != hasFiles {
			t.Errorf("%s: files %v", source, found.Objects)
		}
	}
}

func TestBeside(t *testing.T) {
	dir := tree(t, "a.parquet", "_SUCCESS", "done/2026-01-31.txt", "done/deeper/x.txt", ".ready")
	for _, c := range []struct{ source, pattern, want string }{
		{"", "_SUCCESS", "_SUCCESS"},
		{"/*.parquet", "_SUCCESS", "_SUCCESS"},
		{"/a.parquet", "_SUCCESS", "_SUCCESS"},
		{"/not-yet.parquet", "_SUCCESS", "_SUCCESS"},
		{"/not-yet", "_SUCCESS", ""},
		{"", "_SUC*", "_SUCCESS"},
		{"", "done/*.txt", "done/2026-01-31.txt"},
		{"", "done/2026-02-01.txt", ""},
		{"", "done", ""}, // a folder is no marker
		{"", ".*", ".ready"},
		{"", "none/_SUCCESS", ""},
	} {
		found, err := Beside(t.Context(), dir+c.source, c.pattern)
		if err != nil || names(found) != c.want {
			t.Errorf("%s beside %q: %s, %v; want %s", c.pattern, c.source, names(found), err, c.want)
		}
	}
	if _, err := Beside(t.Context(), dir, "[a"); err == nil {
		t.Error("a pattern that is not valid was accepted")
	}
}

// testSurvey is for buckets what the two tests above are for folders.
func testSurvey(t cloudTest) {
	for _, key := range []string{
		"s/a.parquet", "s/_SUCCESS", "s/_started_1", "s/_committed_1", "s/_temporary/0/task/b.parquet", "s/_temporary/0/task/c.parquet",
		"s/year=2026/d.parquet", "s/year=2026/__magic_job-7/e.pending", "s/other/_temporary/0/f", "s/done/2026-01-31.txt", "new/_temporary/0/g",
		"s/dotted.parquet/a.parquet", "s/dotted.parquet/_COMPLETE",
	} {
		t.put(key, []byte(key))
	}
	for source, want := range map[string]string{
		"s":                  "_committed_1 _started_1 _temporary/0/task/b.parquet other/_temporary/0/f year=2026/__magic_job-7/e.pending",
		"s/a*.parquet":       "_temporary/0/task/b.parquet _started_1 _committed_1",
		"s/year=*/*.parquet": "year=2026/__magic_job-7/e.pending _temporary/0/task/b.parquet _started_1 _committed_1",
		"s/a.parquet":        "",
		"new":                "_temporary/0/g",
	} {
		found, err := Survey(t.Context(), t.at(source))
		if (err != nil) != (source == "new") || err != nil && !errors.Is(err, fs.ErrNotExist) || notes(found) != want {
			t.Errorf("%s: notes %q, %v; want %q", source, notes(found), err, want)
		}
	}
	for _, c := range []struct{ source, pattern, want string }{
		{"s", "_SUCCESS", "_SUCCESS"}, {"s/*.parquet", "_SUC*", "_SUCCESS"}, {"s/a.parquet", "_SUCCESS", "_SUCCESS"},
		{"s/not-yet.parquet", "_SUCCESS", "_SUCCESS"}, {"s", "done/*.txt", "done/2026-01-31.txt"}, {"s", "done", ""}, {"new", "_SUCCESS", ""},
		{"s/dotted.parquet", "_COMPLETE", "_COMPLETE"}, {"s/dotted.parquet", "_SUCCESS", ""}, {"s/dotted.parquet/", "_COMPLETE", "_COMPLETE"},
	} {
		found, err := Beside(t.Context(), t.at(c.source), c.pattern)
		if err != nil || names(found) != c.want {
			t.Errorf("%s beside %q: %s, %v; want %s", c.pattern, c.source, names(found), err, c.want)
		}
	}
}
