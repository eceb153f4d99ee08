package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree makes files, each with its own name as content, and returns the folder.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestListFindsFiles(t *testing.T) {
	dir := tree(t, "b.parquet", "a.parquet", "c.arrow", "_SUCCESS", ".hidden", "_changes/0.parquet", "_year=2025/x.parquet",
		"year=2026/month=01/p.parquet", "year=2026/_temporary/q.parquet", "odd[1].parquet", "odd1.parquet",
		"spaced name/ü.parquet", "out.parquet/part-0", "other/a.parquet")
	link(t, filepath.Join(dir, "other"), filepath.Join(dir, "spaced name", "linked"))
	for _, c := range []struct{ source, want string }{
		{"/a.parquet", "a.parquet"},
		{"", "_year=2025/x.parquet a.parquet b.parquet c.arrow odd1.parquet odd[1].parquet other/a.parquet out.parquet/part-0 spaced name/linked/a.parquet spaced name/ü.parquet year=2026/month=01/p.parquet"},
		{"/year=2026", "month=01/p.parquet"},
		{"/*.parquet", "a.parquet b.parquet odd1.parquet odd[1].parquet out.parquet/part-0"},
		{"/[ab].parquet", "a.parquet b.parquet"},
		{"/{a,c}.*", "a.parquet c.arrow"},
		{"/?.arrow", "c.arrow"},
		{"/year=*/month=*/*.parquet", "year=2026/month=01/p.parquet"},
		{"/year=*", "year=2026/month=01/p.parquet"},
		{"/**/p.parquet", "year=2026/month=01/p.parquet"},
		{"/**/*.parquet", "_year=2025/x.parquet a.parquet b.parquet odd1.parquet odd[1].parquet other/a.parquet out.parquet/part-0 spaced name/linked/a.parquet spaced name/ü.parquet year=2026/month=01/p.parquet"},
		{"/odd[1].parquet", "odd[1].parquet"},
		{"/_changes", "0.parquet"},
		{"/x/../a.parquet", "a.parquet"},
	} {
		got, err := List(t.Context(), dir+c.source)
		if err != nil || names(got) != c.want {
			t.Errorf("List %q:\n got %s, %v\nwant %s", c.source, names(got), err, c.want)
		}
		// The same by URL, for paths that need no percent-encoding.
		got, err = List(t.Context(), "file://"+dir+c.source)
		if err != nil || names(got) != c.want {
			t.Errorf("List of the URL %q:\n got %s, %v\nwant %s", c.source, names(got), err, c.want)
		}
	}
	for source, want := range map[string]string{
		"/spaced%20name/%C3%BC.parquet": "ü.parquet",
		"/odd%5B1%5D.parquet":           "odd[1].parquet",
		"/o*%5B1%5D.parquet":            "odd[1].parquet",
	} {
		if got, err := List(t.Context(), "file://"+dir+source); err != nil || names(got) != want {
			t.Errorf("List of the URL %q: %s, %v", source, names(got), err)
		}
	}
}

func TestListIsRelativeToTheWorkingDirectory(t *testing.T) {
	t.Chdir(tree(t, "segments/a.parquet", "segments/b.parquet"))
	for source, want := range map[string]string{
		"segments": "a.parquet b.parquet", "./segments/a*": "a.parquet", "*/b.parquet": "segments/b.parquet", "segments/a.parquet": "a.parquet",
	} {
		if got, err := List(t.Context(), source); err != nil || names(got) != want {
			t.Errorf("List %q: %s, %v", source, names(got), err)
		}
	}
}

func TestListSaysWhatIsMissing(t *testing.T) {
	dir := tree(t, "empty/_x", "full/a.csv")
	for source, want := range map[string]string{
		"/none.parquet":   "none.parquet",
		"/none/*.parquet": "none",
		"/empty":          "left out",
		"/full/*.parquet": "*.parquet",
	} {
		_, err := List(t.Context(), dir+source)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), want) {
			t.Errorf("List %q: %v", source, err)
		}
	}
	for _, source := range []string{"", "s3://bucket/x", "file://host/x", "file:///a%zz", "/a\x00b", dir + "/[", dir + "/*/../x", dir + "/{a,..}/x"} {
		if _, err := List(t.Context(), source); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("List %q: %v", source, err)
		}
	}
}

func TestListRefusesLoopsAndDanglingLinks(t *testing.T) {
	dir := tree(t, "loop/a", "dangling/a")
	link(t, "..", filepath.Join(dir, "loop", "up"))
	link(t, "nowhere", filepath.Join(dir, "dangling", "b"))
	for _, source := range []string{"/loop", "/loop/**/a", "/dangling"} {
		if got, err := List(t.Context(), dir+source); err == nil {
			t.Errorf("List %q: %s", source, names(got))
		}
	}
}

func TestOpenSourceNoticesChanges(t *testing.T) {
	dir := tree(t, "a", "b", "c")
	list, err := List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenSource(t.Context(), list[0])
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1)
	if _, err := f.ReadAt(p, 0); err != nil || string(p) != "a" || f.Size() != 1 {
		t.Errorf("ReadAt: %q, %v, size %d", p, err, f.Size())
	}
	f.Close()

	if err := os.Chtimes(filepath.Join(dir, "a"), time.Time{}, list[0].ModTime.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if _, err := OpenSource(t.Context(), o); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), o.Name) {
			t.Errorf("OpenSource of %s: %v", o.Name, err)
		}
	}
}

// TestAPatternIsMatchedSoon: the braces expand to 2 to the power of 40 patterns.
func TestAPatternIsMatchedSoon(t *testing.T) {
	dir := tree(t, "a.parquet")
	for _, pattern := range []string{
		strings.Repeat("{,}", 40) + "x",
		strings.Repeat("{a,b,c}", 7),
		"{" + strings.Repeat("{a,b},", 20) + "c}" + strings.Repeat("{a,b}", 10),
		strings.Repeat("{"+strings.Repeat("a,", 50)+"}", 2),
		"*" + strings.Repeat("/x", 600),
	} {
		for _, source := range []string{dir + "/" + pattern, "mem:///" + pattern} {
			ended := make(chan error, 1)
			go func() {
				_, err := List(t.Context(), source)
				ended <- err
			}()
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "pattern") || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("List %q: %v", source, err)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("List %q goes on and on", source)
			}
		}
	}
	for _, pattern := range []string{"{a,b,c}.{parquet,arrow}", "{" + strings.Repeat("b,", 100) + "a}.parquet", "**/{a,{b,c}}.*"} {
		if got, err := List(t.Context(), dir+"/"+pattern); err != nil || names(got) != "a.parquet" {
			t.Errorf("List %q: %s, %v", pattern, names(got), err)
		}
	}
}
