package storage

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestWithin(t *testing.T) {
	dir := tree(t, "allowed/a.parquet", "allowed/deep/b.parquet", "allowed-not/c.parquet", "secret/s.parquet")
	link(t, filepath.Join(dir, "secret"), filepath.Join(dir, "allowed", "link"))
	link(t, filepath.Join(dir, "secret", "s.parquet"), filepath.Join(dir, "allowed", "s.parquet"))
	link(t, filepath.Join(dir, "nowhere"), filepath.Join(dir, "allowed", "dangling"))
	link(t, filepath.Join(dir, "secret"), filepath.Join(dir, "allowed", "x*"))
	link(t, filepath.Join(dir, "allowed"), filepath.Join(dir, "alias"))
	t.Chdir(dir)
	for source, want := range map[string]bool{
		dir + "/allowed":                       true,
		dir + "/allowed/":                      true,
		dir + "/allowed/a.parquet":             true,
		dir + "/allowed/not/yet/there":         true,
		dir + "/allowed/*.parquet":             true,
		dir + "/allowed/**/b.parquet":          true,
		dir + "/alias/a.parquet":               true,
		dir + "/allowed/../allowed/a.parquet":  true,
		"allowed/a.parquet":                    true,
		"file://" + dir + "/allowed/a.parquet": true,

		dir:                                       false,
		dir + "/allowed-not/c.parquet":            false,
		dir + "/allowed/../secret/s.parquet":      false,
		dir + "/allowed/deep/../../secret/*":      false,
		dir + "/allowed/*/../../secret/s.parquet": false,
		dir + "/allowed/{deep,..}/s.parquet":      false,
		dir + `/allowed/\../secret/*`:             false,
		dir + "/allowed/link/s.parquet":           false,
		dir + "/allowed/link/*":                   false,
		dir + "/allowed/s.parquet":                false,
		dir + "/allowed/dangling":                 false,
		dir + "/allowed/x*":                       false,
		dir + "/*/s.parquet":                      false,
		dir + "/allowed*/c.parquet":               false,
		"../../etc/passwd":                        false,
		"/etc/passwd":                             false,
		"/*":                                      false,
		"*":                                       false,
		"":                                        false,
		"file://" + dir + "/allowed/%2e%2e/secret": false,
		"file://" + dir + "/allowed%2f..%2fsecret": false,
		"file://" + dir + "/allowed/..%2fsecret/*": false,
		"file://evil" + dir + "/allowed":           false,
		"s3://bucket/allowed":                      false,
		dir + "/allowed/a\x00b":                    false,
	} {
		for _, allowed := range [][]string{{dir + "/allowed"}, {"/nonexistent", dir + "/allowed/"}, {"file://" + dir + "/allowed"}, {"allowed"}, {dir + "/alias"}} {
			_, err := Within(source, allowed)
			if (err == nil) != want {
				t.Errorf("Within(%q, %q): %v", source, allowed, err)
			}
			if err != nil && !errors.Is(err, ErrNotAllowed) {
				t.Errorf("Within(%q): %v is no ErrNotAllowed", source, err)
			}
		}
		if _, err := Within(source, nil); err == nil {
			t.Errorf("an empty list allows %q", source)
		}
	}
	if _, err := Within(dir, []string{"/"}); err != nil {
		t.Errorf("all is under /: %v", err)
	}
}

func TestWithinObjectSeesThroughLinks(t *testing.T) {
	dir := tree(t, "allowed/a.parquet", "secret/s.parquet")
	link(t, filepath.Join(dir, "secret"), filepath.Join(dir, "allowed", "link"))
	link(t, filepath.Join(dir, "secret", "s.parquet"), filepath.Join(dir, "allowed", "s.parquet"))
	list, err := List(t.Context(), dir+"/allowed/**")
	if err != nil || names(list) != "a.parquet link/s.parquet s.parquet" {
		t.Fatalf("List: %s, %v", names(list), err)
	}
	for i, o := range list {
		if err := WithinObject(o, []string{dir + "/allowed"}); (err == nil) != (i == 0) {
			t.Errorf("WithinObject(%s): %v", o.Name, err)
		}
	}
}

func FuzzWithin(f *testing.F) {
	for _, s := range []string{"allowed/x", "../x", "file:///a/%2e%2e/b", "a/*/..", `a/\../*`, "{..,a}/b", "a/[.][.]/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		dir := tree(t, "allowed/a", "secret/s")
		t.Chdir(dir)
		allowed := []string{filepath.Join(dir, "allowed")}
		resolved, err := Within(source, allowed)
		if err != nil {
			return
		}
		list, _ := List(t.Context(), resolved)
		for _, o := range list {
			if err := WithinObject(o, allowed); err != nil {
				t.Errorf("%q leads to %s: %v", source, o.URL, err)
			}
		}
	})
}
