package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// held is all that a sandbox keeps, as text.
func held(t *testing.T, c *caller) string {
	t.Helper()
	lists, err := json.Marshal(c.server.Stats(true).Projects)
	if err != nil {
		t.Fatal(err)
	}
	return string(lists) + c.ok("GET", "/api/lists", "") + c.ok("GET", "/api/users/getFields", "")
}

// eventful does everything that changes a sandbox, and gives a list's id.
func (c *caller) eventful() int64 {
	c.t.Helper()
	first, second := c.list("First"), c.list("Gone")
	var rows []string
	for i := range 40_000 {
		rows = append(rows, fmt.Sprintf(`{"email": "P%d@Example.com", "dataFields": {"n": %d, "s": "\u00e9"}}`, i, i))
		if len(rows) == 10_000 {
			c.update("subscribe", first, strings.Join(rows, ","))
			rows = nil
		}
	}
	c.update("unsubscribe", first, `{"email": "p7@example.com"}, {"email": "nobody@example.com"}`)
	c.update("subscribe", second, `{"email": "p7@example.com"}`)
	c.ok("DELETE", fmt.Sprint("/api/lists/", second), "")
	if err := c.server.MarkPeople(PeopleMark{People: []string{"New@Example.com"}, Mark: "forgotten"}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.server.AddList(NewList{Name: "Dynamic", Type: "Dynamic"}); err != nil {
		c.t.Fatal(err)
	}
	return first
}

// TestAKilledSandboxGoesOnWhereItWas opens a folder again that nobody closed, also
// after the journal was written anew.
func TestAKilledSandboxGoesOnWhereItWas(t *testing.T) {
	defer func(was int64) { compactAt = was }(compactAt)
	dir := t.TempDir()
	config := Config{DataDir: dir, KeepData: true, FirstListID: 100}
	c := start(t, config)
	id := c.eventful()
	want := held(t, c)
	for name, at := range map[string]int64{"as it was written": 1 << 40, "written anew": 1, "written anew once": 1} {
		compactAt = at
		c = start(t, config)
		if got := held(t, c); got != want {
			t.Fatalf("%s, it holds\n%.600s\nwant\n%.600s", name, got, want)
		}
		if user := c.ok("GET", "/api/users/p39999@example.com", ""); !strings.Contains(user, `"n":39999`) {
			t.Errorf("%s: %s", name, user)
		}
		if r := c.update("subscribe", id, `{"email": "new@example.com"}`); len(r.FailedUpdates.ForgottenEmails) != 1 {
			t.Errorf("%s: the mark is lost", name)
		}
	}
	if next := c.list("Next"); next != 103 {
		t.Errorf("the next list's id is %d, want 103: 100 to 102 were taken", next)
	}
}

// TestAHalfWrittenRecordIsDropped cuts the journal at every place of its last
// record.
func TestAHalfWrittenRecordIsDropped(t *testing.T) {
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

// TestSizesLag moves the clock, and asks for a list's size.
func TestSizesLag(t *testing.T) {
	c := start(t, Config{SizeLag: 10 * time.Second})
	now := time.Now()
	c.server.now = func() time.Time { return now }
	id := c.list("List")
	size := func() string { return c.ok("GET", fmt.Sprintf("/api/lists/%d/size", id), "") }
	c.update("subscribe", id, `{"email": "a@example.com"}`)
	equal(t, "at once", size(), "0")
	now = now.Add(6 * time.Second)
	c.update("subscribe", id, `{"email": "b@example.com"}`)
	now = now.Add(5 * time.Second)
	equal(t, "after 11 s", size(), "1")
	now = now.Add(6 * time.Second)
	equal(t, "after 17 s", size(), "2")
}
