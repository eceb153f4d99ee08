package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "gocloud.dev/blob/memblob"

	"iterable-segment-export/internal/lease"
)

// roots opens a root of each kind.
func roots(t *testing.T) map[string]*Root {
	t.Helper()
	out := map[string]*Root{}
	for name, where := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "made", "on demand"),
		"file URL": fileURL(filepath.Join(t.TempDir(), "made too")),
		"bucket":   "mem://",
		"prefix":   "mem:///some/prefix",
	} {
		r, err := OpenRoot(t.Context(), where)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { r.Close() })
		out[name] = r
	}
	return out
}

func names(objects []Object) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Name)
	}
	return strings.Join(out, " ")
}

func TestRootKeepsFiles(t *testing.T) {
	ctx := t.Context()
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := r.Read(ctx, "a/b.txt"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Read of a missing key: %v", err)
			}
			if _, err := r.Open(ctx, "a/b.txt"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Open of a missing key: %v", err)
			}
			for _, key := range []string{"a/b.txt", "a/c/d.txt", "a2/e.txt"} {
				if err := r.Write(ctx, key, []byte("old")); err != nil {
					t.Fatal(err)
				}
				if err := r.Write(ctx, key, []byte("0123456789")); err != nil {
					t.Fatal(err)
				}
			}
			if data, err := r.Read(ctx, "a/b.txt"); err != nil || string(data) != "0123456789" {
				t.Fatalf("Read: %q, %v", data, err)
			}
			list, err := r.List(ctx, "a")
			if err != nil || names(list) != "a/b.txt a/c/d.txt" || list[0].Size != 10 {
				t.Fatalf("List: %v, %v", list, err)
			}
			if list, err = r.List(ctx, "nothing/here"); err != nil || len(list) != 0 {
				t.Fatalf("List of nothing: %v, %v", list, err)
			}
			if err := r.DeletePrefix(ctx, "a"); err != nil {
				t.Fatal(err)
			}
			if err := r.DeletePrefix(ctx, "a"); err != nil {
				t.Fatal(err)
			}
			if list, err = r.List(ctx, ""); err != nil || names(list) != "a2/e.txt" {
				t.Fatalf("List after DeletePrefix: %v, %v", list, err)
			}
		})
	}
}

func TestRootOpenReadsRanges(t *testing.T) {
	ctx := t.Context()
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) {
			if err := r.Write(ctx, "k", []byte("0123456789")); err != nil {
				t.Fatal(err)
			}
			f, err := r.Open(ctx, "k")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Size() != 10 {
				t.Errorf("Size is %d", f.Size())
			}
			p := make([]byte, 4)
			if n, err := f.ReadAt(p, 3); n != 4 || err != nil || string(p) != "3456" {
				t.Errorf("ReadAt 3: %d, %v, %q", n, err, p)
			}
			if n, err := f.ReadAt(p, 8); n != 2 || err != io.EOF || string(p[:n]) != "89" {
				t.Errorf("ReadAt 8: %d, %v, %q", n, err, p[:n])
			}
			if n, err := f.ReadAt(p, 10); n != 0 || err != io.EOF {
				t.Errorf("ReadAt 10: %d, %v", n, err)
			}
		})
	}
}

func TestWriterPublishesWholeFilesOnly(t *testing.T) {
	ctx := t.Context()
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) {
			w, err := r.Create(ctx, "x/y")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("half")); err != nil {
				t.Fatal(err)
			}
			if list, _ := r.List(ctx, ""); len(list) != 0 {
				t.Errorf("to be seen before Close: %v", list)
			}
			w.Abort()
			w.Abort()
			if err := w.Close(); err != nil {
				t.Errorf("Close after Abort: %v", err)
			}
			if _, err := r.Read(ctx, "x/y"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("read an aborted file: %v", err)
			}

			gone, cancel := context.WithCancel(ctx)
			if w, err = r.Create(gone, "x/y"); err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write([]byte("half"))
			cancel()
			if err := w.Close(); err == nil {
				t.Error("a cancelled file was published")
			}
			if r.dir != "" {
				if left, _ := filepath.Glob(filepath.Join(r.dir, "x", "*")); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			}
		})
	}
}

func TestLocalRootIsPrivateAndClean(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "root")
	r, err := OpenRoot(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if want := "file://" + filepath.ToSlash(dir); r.URL() != want {
		t.Errorf("URL is %s, not %s", r.URL(), want)
	}
	if err := r.Write(ctx, "a/b/c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Files that a killed process left behind are not listed, and DeletePrefix deletes them.
	if err := os.WriteFile(filepath.Join(dir, "a/b/c.18c5e1a2b3c4d5e6.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(ctx, "a"); err != nil || names(list) != "a/b/c" {
		t.Errorf("List: %v, %v", list, err)
	}
	if err := r.DeletePrefix(ctx, "a/b"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("DeletePrefix left %v", left)
	}
}

func TestRootRefusesKeysThatLeaveIt(t *testing.T) {
	ctx := t.Context()
	r, err := OpenRoot(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, key := range []string{"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", `a\b`, "a\x00b", "a\nb", "\xff"} {
		if _, err := r.Create(ctx, key); err == nil {
			t.Errorf("Create took %q", key)
		}
		if _, err := r.Read(ctx, key); err == nil {
			t.Errorf("Read took %q", key)
		}
		if _, err := r.Open(ctx, key); err == nil {
			t.Errorf("Open took %q", key)
		}
		if err := r.DeletePrefix(ctx, key); err == nil {
			t.Errorf("DeletePrefix took %q", key)
		}
	}
}

func TestOpenRootExplainsItself(t *testing.T) {
	for _, where := range []string{"", "nosuchscheme://bucket", "file://host/path", "file://relative"} {
		if r, err := OpenRoot(t.Context(), where); err == nil {
			t.Errorf("OpenRoot took %q as %s", where, r.URL())
		}
	}
}

func TestOnlyTheFirstNewFileIsPublished(t *testing.T) {
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) { onlyTheFirstIsPublished(t, r) })
	}
}

// onlyTheFirstIsPublished makes two writers write the same new file, small and in parts.
func onlyTheFirstIsPublished(t *testing.T, r *Root) {
	for key, size := range map[string]int{"new/small": 10, "new/large": 17 << 20} {
		var both [2]*Writer
		for i := range both {
			var err error
			if both[i], err = r.CreateNew(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if _, err := both[i].Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := both[1].Close(); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if err := both[0].Close(); !errors.Is(err, ErrExists) {
			t.Fatalf("%s: the second publication: %v", key, err)
		}
		got, err := r.Read(t.Context(), key)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{1}, size)) {
			t.Fatalf("%s: %d bytes of something else, %v", key, len(got), err)
		}
	}
	if list, err := r.List(t.Context(), "new"); err != nil || names(list) != "new/large new/small" {
		t.Fatalf("left: %s, %v", names(list), err)
	}
}

func TestChangesNeedTheLease(t *testing.T) {
	for name, r := range roots(t) {
		t.Run(name, func(t *testing.T) {
			answer := error(nil)
			now := time.Now()
			l := lease.New(time.Second, func(context.Context) error { return answer }, func() time.Time { return now })
			ctx := lease.With(t.Context(), l)
			if err := r.Write(ctx, "a", []byte("a")); err != nil {
				t.Fatal(err)
			}
			w, err := r.Create(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("b")); err != nil {
				t.Fatal(err)
			}
			now, answer = now.Add(time.Hour), lease.ErrLost // the process was frozen
			if err := w.Close(); !errors.Is(err, lease.ErrLost) {
				t.Fatalf("publish: %v", err)
			}
			if err := r.DeletePrefix(ctx, "a"); !errors.Is(err, lease.ErrLost) {
				t.Fatalf("delete: %v", err)
			}
			if got, err := r.Read(ctx, "a"); err != nil || string(got) != "a" {
				t.Fatalf("%q, %v", got, err)
			}
			if list, err := r.List(t.Context(), ""); err != nil || names(list) != "a" {
				t.Fatalf("left: %s, %v", names(list), err)
			}
		})
	}
}

// Other workers delete files while one lists them.
func TestListingWhileFilesVanish(t *testing.T) {
	root, err := OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := root.Write(t.Context(), "turns/kept", nil); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for i := range 3 {
		others.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("turns/%d-%d", i, n)
				if err := errors.Join(root.Write(t.Context(), name, nil), root.DeletePrefix(t.Context(), name)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 300 {
		files, err := root.List(t.Context(), "turns")
		if err != nil || len(files) == 0 {
			t.Errorf("%d files: %v", len(files), err)
			break
		}
	}
	close(stop)
	others.Wait()
}
