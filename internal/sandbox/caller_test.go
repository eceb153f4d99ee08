package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"iterable-segment-export/internal/iterable/api"
)

// caller makes requests of a server under test.
type caller struct {
	t      *testing.T
	server *Server
	url    string
	key    string
}

// start serves a fast sandbox on loopback until the test ends.
func start(t *testing.T, c Config) *caller {
	t.Helper()
	c.Fast = true
	return serve(t, c)
}

func serve(t *testing.T, c Config) *caller {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.ClearFaults()
		h.Close()
	})
	return &caller{t, s, h.URL, DefaultKey}
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c *caller) try(method, path, body string) (reply, error) {
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Api-Key", c.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

func (c *caller) do(method, path, body string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// ok makes a request that must be answered 200, and returns the body.
func (c *caller) ok(method, path, body string) string {
	c.t.Helper()
	r := c.do(method, path, body)
	if r.status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	return r.body
}

// refused makes a request that must be answered with a status and a code, and returns the
// message.
func (c *caller) refused(method, path, body string, status int, code string) string {
	c.t.Helper()
	r := c.do(method, path, body)
	var e api.Status
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || r.status != status || e.Code != code {
		c.t.Fatalf("%s %s: want %d %s, got %d %s (%v)", method, path, status, code, r.status, r.body, err)
	}
	return e.Msg
}

func (c *caller) list(name string) int64 {
	c.t.Helper()
	var made struct{ ListID int64 }
	decode(c.t, c.ok("POST", "/api/lists", fmt.Sprintf(`{"name":%q}`, name)), &made)
	return made.ListID
}

// counted is an update's answer with its counts as numbers.
type counted struct {
	SuccessCount, FailCount          int
	CreatedFields, FilteredOutFields []string
	FailedUpdates                    api.FailedUpdates
	InvalidEmails, InvalidUserIDs    []string
}

func (c *caller) update(call string, list int64, rows string) counted {
	c.t.Helper()
	var r counted
	decode(c.t, c.ok("POST", "/api/lists/"+call, fmt.Sprintf(`{"listId":%d,"subscribers":[%s]}`, list, rows)), &r)
	return r
}

func (c *caller) members(list int64) []string {
	c.t.Helper()
	m, err := c.server.Members(list)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func sha(lines ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
