package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newKey(t testing.TB) string {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyed opens a root whose folder "people" is encrypted with the keys.
func keyed(t testing.TB, where string, keys ...string) *Root {
	t.Helper()
	root, err := OpenRoot(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if len(keys) > 0 {
		k, err := ReadKeys(strings.Join(keys, ","), "")
		if err != nil {
			t.Fatal(err)
		}
		root.Encrypt(k, "people")
	}
	return root
}

func random(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(data)
	return data
}

// TestWhatIsEncryptedReadsAsItWasWritten writes files of all lengths near the
// boundaries of age's pieces, and reads them as a whole and in ranges.
func TestWhatIsEncryptedReadsAsItWasWritten(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	root := keyed(t, dir, key)
	const piece = 64 << 10
	for _, n := range []int{0, 1, 21, 22, 23, piece - 1, piece, piece + 1, 3*piece + 17} {
		want := random(n)
		name := fmt.Sprintf("people/%d", n)
		if err := root.Write(t.Context(), name, want); err != nil {
			t.Fatal(err)
		}
		if got, err := root.Read(t.Context(), name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d come back, %v", n, len(got), err)
		}
		stored, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.HasPrefix(stored, []byte(ageMagic)) || n > 20 && bytes.Contains(stored, want[:20]) {
			t.Errorf("%d bytes lie there in the clear, %v", n, err)
		}
		f, err := root.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if f.Size() != int64(n) {
			t.Errorf("%d bytes: the size is %d", n, f.Size())
		}
		for range 50 {
			from := rand.IntN(n + 1)
			p := make([]byte, rand.IntN(n-from+3))
			k, err := f.ReadAt(p, int64(from))
			whole := min(len(p), n-from)
			if k != whole || !bytes.Equal(p[:k], want[from:from+k]) || (err != nil) != (k < len(p)) || err != nil && err != io.EOF {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(p), from, n, k, err)
			}
		}
		f.Close()
	}
}

func TestKeysRotate(t *testing.T) {
	dir, first, second := t.TempDir(), newKey(t), newKey(t)
	ctx := t.Context()
	write := func(r *Root, name string) {
		t.Helper()
		if err := r.Write(ctx, name, []byte("who it is")); err != nil {
			t.Fatal(err)
		}
	}
	write(keyed(t, dir), "people/plain")
	write(keyed(t, dir, first), "people/first")
	rotated := keyed(t, dir, second, first)
	write(rotated, "people/second")
	write(rotated, "machines/none")
	for _, name := range []string{"people/plain", "people/first", "people/second", "machines/none"} {
		if got, err := rotated.Read(ctx, name); err != nil || string(got) != "who it is" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "machines/none")); err != nil || string(data) != "who it is" {
		t.Errorf("a file outside of the encrypted folders is encrypted: %v", err)
	}
	for name, c := range map[string]struct {
		root *Root
		key  string
		says string
	}{
		"without a key":     {keyed(t, dir), "people/first", "set DATA_KEYS or DATA_KEYS_FILE"},
		"with another one":  {keyed(t, dir, second), "people/first", "does not open it; add the one"},
		"with several ones": {keyed(t, dir, newKey(t), second), "people/first", "the 2 keys in DATA_KEYS"},
		"before the second": {keyed(t, dir, first), "people/second", "does not open it"},
	} {
		_, err := c.root.Read(ctx, c.key)
		_, opened := c.root.Open(ctx, c.key)
		for _, err := range []error{err, opened} {
			if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.key) ||
				errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestWithoutAKeyNothingPlainIsAdded where others encrypt.
func TestWithoutAKeyNothingPlainIsAdded(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	plain, encrypting := keyed(t, dir), keyed(t, dir, key)
	check := func(what string, r *Root, want error) {
		t.Helper()
		if err := r.CheckKey(t.Context(), 1, "other", "people"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("an empty root", plain, nil)
	content := random(100)
	if err := plain.Write(t.Context(), "people/z", content); err != nil {
		t.Fatal(err)
	}
	check("a plain root", plain, nil)
	if err := encrypting.Write(t.Context(), "people/a", content); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "people", "z"), long, long); err != nil {
		t.Fatal(err)
	}
	check("a root that is encrypted by now", plain, ErrKey)
	check("with the key", encrypting, nil)
	check("with another key", keyed(t, dir, newKey(t)), ErrKey)

	other := newKey(t)
	changed := keyed(t, dir, other)
	if err := changed.Write(t.Context(), "people/newest", content); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "people", "a"), long, long); err != nil {
		t.Fatal(err)
	}
	check("the newest file with a new key", changed, nil)
	if err := changed.CheckKey(t.Context(), 10, "people"); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "people/a") {
		t.Errorf("without the old key: %v", err)
	}
	if err := keyed(t, dir, other, key).CheckKey(t.Context(), 10, "people"); err != nil {
		t.Errorf("with both keys: %v", err)
	}
}

// TestDamageIsNotAMissingKey changes and cuts an encrypted file.
func TestDamageIsNotAMissingKey(t *testing.T) {
	dir := t.TempDir()
	root := keyed(t, dir, newKey(t))
	if err := root.Write(t.Context(), "people/x", random(200_000)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "people/x")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[100_000] ^= 1
	for what, data := range map[string][]byte{"changed": changed, "cut": good[:150_000], "header alone": good[:100]} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := root.Read(t.Context(), "people/x"); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
		f, err := root.Open(t.Context(), "people/x")
		if err == nil {
			_, err = f.ReadAt(make([]byte, 200_000), 0)
			f.Close()
		}
		if !errors.Is(err, ErrDamaged) || errors.Is(err, ErrKey) {
			t.Errorf("%s, in ranges: %v", what, err)
		}
	}
}

func TestInvalidKeys(t *testing.T) {
	good := newKey(t)
	for text, says := range map[string]string{
		"# only a comment":                     "no key found",
		"hunter2":                              "key 1 is not",
		good + "," + good[:40]:                 "key 2 is not",
		"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq": "key 1 is not",
	} {
		_, err := ReadKeys(text, "")
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "DATA_KEYS") {
			t.Errorf("%q: %v", text, err)
		}
		for _, word := range []string{"hunter2", good[16:40]} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error quotes the key: %v", err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("# created: today\n# public key: age1…\n"+newKey(t)+"\n\n"+newKey(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := ReadKeys(good, file); err != nil || k.count() != 3 {
		t.Errorf("%d keys, %v", k.count(), err)
	}
	if k, err := ReadKeys("", ""); k != nil || err != nil {
		t.Errorf("%v, %v", k, err)
	}
	if _, err := ReadKeys("", file+".none"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "DATA_KEYS_FILE") {
		t.Error(err)
	}
}

// BenchmarkRoot writes and reads 64 MB in pieces of 100 kB, as staged files are.
func BenchmarkRoot(b *testing.B) {
	const piece, pieces = 100_000, 640
	data := random(piece)
	for name, keys := range map[string][]string{"plain": nil, "encrypted": {newKey(b)}} {
		root := keyed(b, b.TempDir(), keys...)
		b.Run("write/"+name, func(b *testing.B) {
			b.SetBytes(piece * pieces)
			for b.Loop() {
				w, err := root.Create(b.Context(), "people/x")
				for range pieces {
					if err == nil {
						_, err = w.Write(data)
					}
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			b.SetBytes(piece * pieces)
			p := make([]byte, piece)
			for b.Loop() {
				f, err := root.Open(b.Context(), "people/x")
				for i := range int64(pieces) {
					if err == nil {
						_, err = f.ReadAt(p, i*piece)
					}
				}
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
