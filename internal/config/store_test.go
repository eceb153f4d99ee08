package config

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

const twoConnections = `connections:
  - {name: marketing, region: us, apiKey: {env: CONFIG_TEST_KEY}, allowed: [contributors]}
  - {name: Marketing EU, region: eu, apiKey: {file: eu.key}}
`

// watched is a store on a test file, with a clock that the test sets.
type watched struct {
	*ConnectionStore
	t      *testing.T
	logged bytes.Buffer
	time   time.Time
}

func watch(t *testing.T, text string) *watched {
	w := &watched{t: t, time: time.Now()}
	path := filepath.Join(t.TempDir(), "connections.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := OpenConnections(path, slog.New(slog.NewTextHandler(&w.logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	store.now = func() time.Time { return w.time }
	w.ConnectionStore = store
	return w
}

// write replaces the file and advances the clock so that the store reads it.
func (w *watched) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.time = w.time.Add(2 * lookEvery)
}

func (w *watched) lines() int { return strings.Count(w.logged.String(), "\n") }

func TestStoreFollowsItsFile(t *testing.T) {
	w := watch(t, twoConnections)
	if got := w.Names(); !slices.Equal(got, []string{"marketing", "Marketing EU"}) {
		t.Fatalf("names %q", got)
	}
	w.write("connections:\n  - {name: other, region: us, apiKey: {env: A}}\n")
	if got := w.Names(); !slices.Equal(got, []string{"other"}) {
		t.Errorf("after a change: names %q", got)
	}
	if s := w.Status(); s.Err != nil {
		t.Errorf("after a change: status %+v", s)
	}
	// The same length at the same moment: only the content differs.
	w.write("connections:\n  - {name: otter, region: us, apiKey: {env: A}}\n")
	if got := w.Names(); !slices.Equal(got, []string{"otter"}) {
		t.Errorf("after a change of the same length: names %q", got)
	}
}

func TestStoreKeepsTheVersionBeforeABrokenOne(t *testing.T) {
	w := watch(t, twoConnections)
	w.write("connections:\n  - {name: marketing, regoin: us}\n")
	first := w.time
	for range 3 {
		if c, err := w.Get("marketing"); err != nil || c.Region != schemas.RegionUS {
			t.Fatalf("got %+v, %v", c, err)
		}
		w.time = w.time.Add(2 * lookEvery)
	}
	s := w.Status()
	if s.Err == nil || !strings.Contains(s.Err.Error(), "did you mean region?") || !s.Since.Equal(first) {
		t.Errorf("status %+v", s)
	}
	if w.lines() != 1 {
		t.Errorf("logged %d lines, want 1:\n%s", w.lines(), &w.logged)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.time = w.time.Add(2 * lookEvery)
	if s := w.Status(); !errors.Is(s.Err, fs.ErrNotExist) || !s.Since.Equal(first) {
		t.Errorf("without the file: status %+v", s)
	}
	w.write(twoConnections)
	if s := w.Status(); s.Err != nil || !s.Since.IsZero() {
		t.Errorf("after the repair: status %+v", s)
	}
}

func TestStoreIsNotChangedByItsCallers(t *testing.T) {
	w := watch(t, twoConnections)
	c, err := w.Get("marketing")
	if err != nil {
		t.Fatal(err)
	}
	c.Allowed[0] = schemas.AllowAdministrators
	if c, _ := w.Get("marketing"); c.Allowed[0] != schemas.AllowContributors {
		t.Error("a caller changed the store's connection")
	}
}

func TestOpenRefusesABrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connections.yaml")
	if _, err := OpenConnections(path, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("connections: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var invalid *FileError
	if _, err := OpenConnections(path, slog.New(slog.DiscardHandler)); !errors.As(err, &invalid) {
		t.Errorf("broken file: %v", err)
	}
}

func TestUnknownConnection(t *testing.T) {
	w := watch(t, twoConnections)
	for name, want := range map[string]string{
		"marketting":   `unknown connection "marketting"; did you mean "marketing" or "Marketing EU"?`,
		"marketing-eu": `unknown connection "marketing-eu"; did you mean "Marketing EU" or "marketing"?`,
		"sandbox":      `unknown connection "sandbox": it is not in connections.yaml`,
	} {
		if _, err := w.Get(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	w.write("connections: []\n")
	if _, err := w.Get("x"); err == nil || err.Error() != `unknown connection "x": connections.yaml has none` {
		t.Errorf("got %v", err)
	}
}

func TestKey(t *testing.T) {
	w := watch(t, twoConnections)
	us, _ := w.Get("marketing")
	eu, _ := w.Get("Marketing EU")
	file := filepath.Join(filepath.Dir(w.path), "eu.key")
	const key = "0123456789abcdef0123456789abcdef"

	expect := func(c schemas.Connection, want, problem string) {
		t.Helper()
		got, err := w.Key(c)
		if got != want || (err == nil) != (problem == "") || (err != nil && !strings.HasSuffix(err.Error(), problem)) {
			t.Errorf("got %q, %v; want %q, %q", got, err, want, problem)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(us, "", "the environment variable CONFIG_TEST_KEY of the worker is not set; set it and start the worker again")
	t.Setenv("CONFIG_TEST_KEY", " "+key+"\n")
	expect(us, key, "")
	t.Setenv("CONFIG_TEST_KEY", "")
	expect(us, "", "the environment variable CONFIG_TEST_KEY is empty")
	expect(eu, "", "eu.key does not exist")
	write("\uFEFF" + key + "\r\n")
	expect(eu, key, "")
	write("another")
	expect(eu, "another", "")
	write(key + "\n" + key)
	expect(eu, "", "eu.key contains more than a key; it must contain only the key, on one line")
	write(strings.Repeat(key, 4000))
	expect(eu, "", "eu.key is too large for a key")
	expect(schemas.Connection{Name: "x"}, "", `connection "x" has no apiKey`)
}

// TestTheSandboxMayHaveAnotherPort changes the addresses of no other connections.
func TestTheSandboxMayHaveAnotherPort(t *testing.T) {
	const text = "connections:\n" +
		"  - {name: sandbox, baseURL: http://127.0.0.1:8234, apiKey: {env: A}, allowed: [administrators]}\n" +
		"  - {name: other, baseURL: http://127.0.0.1:82340, apiKey: {env: A}, allowed: [administrators]}\n"
	for port, want := range map[string]string{
		"": "http://127.0.0.1:8234", "9000": "http://127.0.0.1:9000", "x@example.com": "", "0": "", "65536": "",
	} {
		t.Setenv(SandboxPort, port)
		all, err := parseConnections("connections.yaml", []byte(text))
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "set it to a port") {
				t.Errorf("port %q: %v", port, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := all.Connections[0].BaseURL; got != want {
			t.Errorf("port %q: %s, want %s", port, got, want)
		}
		if got := all.Connections[1].BaseURL; got != "http://127.0.0.1:82340" {
			t.Errorf("port %q: another connection leads to %s", port, got)
		}
	}
}
