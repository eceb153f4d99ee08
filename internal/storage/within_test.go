package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
			if err != nil && !errors.Is(err, errNotAllowed) {
				t.Errorf("Within(%q): %v is not an errNotAllowed", source, err)
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
		if _, err := WithinObject(o, []string{dir + "/allowed"}); (err == nil) != (i == 0) {
			t.Errorf("WithinObject(%s): %v", o.Name, err)
		}
	}
}

func TestWithinBuckets(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "mine")
	for _, c := range []struct{ allowed, source, want string }{
		{"s3://b/seg?region=eu-west-1", "s3://b/seg/x.parquet", "s3://b/seg/x.parquet?region=eu-west-1"},
		{"s3://b/seg?region=eu-west-1", "s3://b/seg/x.parquet?region=eu-west-1", "s3://b/seg/x.parquet?region=eu-west-1"},
		{"s3://b/seg/", "s3://b/seg", "s3://b/seg"},
		{"s3://b/seg", "s3://b/seg/**/*.parquet", "s3://b/seg/**/*.parquet"},
		{"s3://b/seg", "s3://b/seg/High%20value/100%25", "s3://b/seg/High%20value/100%25"},
		{"s3://b/a b", "S3://b/a%20b/x", "s3://b/a%20b/x"},
		{"s3://b", "s3://b/any", "s3://b/any"},
		{"gs://b/seg", "gs://b/seg/x", "gs://b/seg/x"},
		{"azblob://c/seg", "azblob://c/seg/x", "azblob://c/seg/x"},
		{"azblob://c/seg?storage_account=mine", "azblob://c/seg/x", "azblob://c/seg/x?storage_account=mine"},
		{"azblob://c/seg", "abfss://c@mine.dfs.core.windows.net/seg/x", "azblob://c/seg/x"},
		{"abfss://c@theirs.dfs.core.windows.net/seg", "abfss://c@theirs.dfs.core.windows.net/seg/x", "azblob://c/seg/x?storage_account=theirs"},
		{"abfss://c@theirs.dfs.core.windows.net/seg", "azblob://c/seg/x", "azblob://c/seg/x?storage_account=theirs"},
		{"abfss://c@a.dfs.core.chinacloudapi.cn", "abfss://c@a.dfs.core.chinacloudapi.cn/x", "azblob://c/x?domain=blob.core.chinacloudapi.cn&storage_account=a"},

		{"s3://b/seg", "s3://b/segments/x", ""},
		{"s3://b/seg", "s3://b/seg*/x", ""},
		{"s3://b/seg", "s3://b/*/x", ""},
		{"s3://b/seg", "s3://b", ""},
		{"s3://b/seg", "s3://b2/seg/x", ""},
		{"s3://b/seg", "gs://b/seg/x", ""},
		{"s3://b/seg", "s3://b/seg/../secret", ""},
		{"s3://b/seg", "s3://b/seg/%2e%2e/secret", ""},
		{"s3://b/seg", "s3://b/seg%2f..%2fsecret", ""},
		{"s3://b/seg", "s3://b/seg/./x", ""},
		{"s3://b/seg", "s3://b/seg/{a,..}/x", ""},
		{"s3://b/seg", `s3://b/seg/\../x`, ""},
		{"s3://b/seg", "s3://b/seg//x", ""},
		{"s3://b/seg", "s3://b/seg/%zz", ""},
		{"s3://b/seg", "s3://b/seg/a%00b", ""},
		{"s3://b/seg", "s3://b/seg/x?endpoint=http://evil.example", ""},
		{"s3://b/seg?region=eu-west-1", "s3://b/seg/x?region=us-east-1", ""},
		{"s3://b/seg", "s3://b@evil/seg/x", ""},
		{"azblob://c/seg", "abfss://c@theirs.dfs.core.windows.net/seg/x", ""},
		{"abfss://c@a.dfs.core.windows.net/seg", "abfss://c@a.dfs.evil.example/seg/x", ""},
		{"azblob://c/seg", "abfss://c@mine.evil.example/seg/x", ""},
		{"s3://b/seg", "ftp://b/seg/x", ""},
		{"s3://b/seg", "/seg/x", ""},
		{"/b/seg", "s3://b/seg/x", ""},
	} {
		got, err := Within(c.source, []string{"/elsewhere", "gs://elsewhere", c.allowed})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Within(%q, %q) = %q, %v; want %q", c.source, c.allowed, got, err, c.want)
		}
		if err != nil && !errors.Is(err, errNotAllowed) {
			t.Errorf("Within(%q): %v is not an errNotAllowed", c.source, err)
		}
	}
}

func FuzzWithinBuckets(f *testing.F) {
	for _, s := range []string{"x", "../y", "%2e%2e/y", "*/..", `\../*`, "{..,a}/b", "x?endpoint=e", "x#y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		resolved, err := Within("s3://b/seg"+rest, []string{"s3://b/seg?region=r"})
		if err != nil {
			return
		}
		u, err := parseBucketURL(resolved)
		if err != nil {
			t.Fatalf("%q became %q: %v", rest, resolved, err)
		}
		if u.bucket != "b" || u.key != "seg" && !strings.HasPrefix(u.key, "seg/") || strings.Contains("/"+u.key+"/", "/../") || u.params.Encode() != "region=r" {
			t.Errorf("%q became %q", rest, resolved)
		}
	})
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
			if _, err := WithinObject(o, allowed); err != nil {
				t.Errorf("%q leads to %s: %v", source, o.URL, err)
			}
		}
	})
}

// TestALinkThatIsPutThereLaterLeadsNowhere: after a file was found and checked, a writer
// of the allowed folder replaces its folder by a link. The file that the link leads to
// looks the same.
func TestALinkThatIsPutThereLaterLeadsNowhere(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, dir string){
		"a folder": func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "allowed/day"), filepath.Join(dir, "gone")); err != nil {
				t.Fatal(err)
			}
			link(t, filepath.Join(dir, "secret"), filepath.Join(dir, "allowed/day"))
		},
		"a folder, by a relative link": func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "allowed/day"), filepath.Join(dir, "gone")); err != nil {
				t.Fatal(err)
			}
			link(t, "../secret", filepath.Join(dir, "allowed/day"))
		},
		"the file": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "allowed/day/a.txt")); err != nil {
				t.Fatal(err)
			}
			link(t, filepath.Join(dir, "secret/a.txt"), filepath.Join(dir, "allowed/day/a.txt"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, "allowed/day/a.txt", "secret/a.txt")
			now := time.Now().Truncate(time.Second)
			for file, text := range map[string]string{"allowed/day/a.txt": "open!!", "secret/a.txt": "secret"} {
				path := filepath.Join(dir, file)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, now, now); err != nil {
					t.Fatal(err)
				}
			}
			found, err := List(t.Context(), dir+"/allowed")
			if err != nil || len(found) != 1 {
				t.Fatalf("%v, %v", found, err)
			}
			o, err := WithinObject(found[0], []string{dir + "/allowed"})
			if err != nil {
				t.Fatal(err)
			}
			f, err := OpenSource(t.Context(), o)
			if err != nil {
				t.Fatalf("before the swap: %v", err)
			}
			f.Close()
			swap(t, dir)
			if f, err := OpenSource(t.Context(), o); err == nil {
				text := make([]byte, 6)
				_, _ = f.ReadAt(text, 0)
				f.Close()
				t.Errorf("it reads %q", text)
			}
			said := fmt.Sprint(CheckUnchanged(t.Context(), o))
			if err := os.WriteFile(filepath.Join(dir, "secret/a.txt"), []byte("a longer secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			longer := fmt.Sprint(CheckUnchanged(t.Context(), o))
			if err := os.Remove(filepath.Join(dir, "secret/a.txt")); err != nil {
				t.Fatal(err)
			}
			if gone := fmt.Sprint(CheckUnchanged(t.Context(), o)); longer != said || gone != said || said == fmt.Sprint(error(nil)) {
				t.Errorf("it tells of the other file: %s; of a longer one: %s; of none: %s", said, longer, gone)
			}
		})
	}
}

// TestAnAllowedFileIsOpened: the allowed source is the file itself.
func TestAnAllowedFileIsOpened(t *testing.T) {
	dir := tree(t, "a.txt")
	found, err := List(t.Context(), dir+"/a.txt")
	if err != nil {
		t.Fatal(err)
	}
	o, err := WithinObject(found[0], []string{dir + "/a.txt"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// TestARefusalDoesNotTellWhichFilesThereAre outside the allowed sources.
func TestARefusalDoesNotTellWhichFilesThereAre(t *testing.T) {
	dir := tree(t, "allowed/a", "private/there", "closed/there")
	link(t, "nowhere", filepath.Join(dir, "private", "dangling"))
	link(t, "loop", filepath.Join(dir, "private", "loop"))
	if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "closed"), 0o700)
	for _, name := range []string{"private/there", "private/not", "private/dangling", "private/loop", "private/there/below", "closed/there", "private/*"} {
		source := filepath.Join(dir, name)
		_, err := Within(source, []string{filepath.Join(dir, "allowed")})
		if want := fmt.Sprintf("source %q is %v", source, errNotAllowed); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
