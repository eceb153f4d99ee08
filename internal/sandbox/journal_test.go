package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// held is all that a sandbox keeps, as text.
func held(t *testing.T, c *caller) string {
	t.Helper()
	lists, err := json.Marshal(c.server.Stats(true).Lists)
	if err != nil {
		t.Fatal(err)
	}
	return string(lists) + c.ok("GET", "/api/lists", "") + c.ok("GET", "/api/users/getFields", "")
}

// eventful does everything that changes a sandbox, and returns a list's ID.
func (c *caller) eventful() int64 {
	c.t.Helper()
	first, second := c.list("First"), c.list("Gone")
	var rows []string
	for i := range 2_000 {
		rows = append(rows, fmt.Sprintf(`{"email": "P%d@Example.com", "dataFields": {"n": %d, "s": "\u00e9"}}`, i, i))
	}
	c.update("subscribe", first, strings.Join(rows, ","))
	c.update("unsubscribe", first, `{"email": "p7@example.com"}, {"email": "nobody@example.com"}`)
	c.update("subscribe", second, `{"email": "p7@example.com"}`)
	c.ok("DELETE", fmt.Sprint("/api/lists/", second), "")
	c.ok("POST", "/api/users/update", `{"email": "new@example.com", "dataFields": {"late": true}}`)
	c.ok("DELETE", "/api/users/p8@example.com", "")
	return first
}

// everLater returns a clock that shows another millisecond each time.
func everLater() func() time.Time {
	var calls atomic.Int64
	begin := time.Now()
	return func() time.Time { return begin.Add(time.Duration(calls.Add(1)) * time.Millisecond) }
}

// TestAKilledSandboxGoesOnWhereItWas opens the folder of a server that was not closed, in the
// realistic sandbox too.
func TestAKilledSandboxGoesOnWhereItWas(t *testing.T) {
	for _, fast := range []bool{true, false} {
		dir := t.TempDir()
		config := Config{DataDir: dir, KeepData: true, FirstListID: 100, Fast: fast, Rate: -1, NewList: -1}
		c := serve(t, config)
		c.server.now = everLater()
		id := c.eventful()
		want := held(t, c)
		config.FirstListID = 5_000
		c = serve(t, config)
		equal(t, "what is held", held(t, c), want)
		equal(t, "data", strings.Contains(c.ok("GET", "/api/users/p9@example.com", ""), `"n":9`), true)
		c.update("subscribe", id, `{"email": "after@example.com"}`)
		equal(t, "the next list", c.list("Next"), id+2)
		if err := c.server.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAJournalThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Config{DataDir: dir})
	id := c.list("List")
	c.update("subscribe", id, `{"email": "a@example.com"}`)
	name := filepath.Join(dir, journalFile)
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c.update("subscribe", id, `{"email": "b@example.com"}`)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for end := len(before); end < len(whole); end++ {
		if err := os.WriteFile(name, whole[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{DataDir: dir})
		if err != nil {
			t.Fatalf("cut at %d: %v", end, err)
		}
		if m, err := s.Members(id); err != nil || len(m) != 1 {
			t.Fatalf("cut at %d: %q, %v", end, m, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadFile(name); err != nil || len(left) != len(before) {
			t.Fatalf("cut at %d: %d bytes are left of %d, %v", end, len(left), len(before), err)
		}
	}
	if err := os.WriteFile(name, append([]byte("x\n"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a damaged journal: %v", err)
	}
}

func TestWhatASandboxKeepsIsForItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sandbox")
	c := start(t, Config{DataDir: dir})
	c.list("List")
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, journalFile): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
