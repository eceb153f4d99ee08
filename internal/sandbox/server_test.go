package sandbox

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestLists(t *testing.T) {
	c := start(t, Config{})
	a, b := c.list("Spring"), c.list("Spring")
	if a == b {
		t.Fatal("two lists have one id")
	}
	var got struct {
		Lists []struct {
			ID                          int64
			Name, Description, ListType string
			CreatedAt                   int64
		}
	}
	decode(t, c.ok("GET", "/api/lists", ""), &got)
	if len(got.Lists) != 2 || got.Lists[1].ID != b || got.Lists[1].Name != "Spring" ||
		got.Lists[1].ListType != "Standard" || got.Lists[1].CreatedAt < 1e12 {
		t.Errorf("lists: %+v", got)
	}
	path := fmt.Sprintf("/api/lists/%d", a)
	c.update("subscribe", a, `{"email":"ann@example.com"},{"email":"bob@example.com"}`)
	equal(t, "size", c.ok("GET", path+"/size", ""), "2")
	if body := c.ok("DELETE", path, ""); !strings.Contains(body, `"code":"Success","params":null`) {
		t.Errorf("delete: %s", body)
	}
	for call, body := range map[string]string{
		"DELETE " + path: "", "GET " + path + "/size": "", fmt.Sprintf("GET /api/lists/getUsers?listId=%d", a): "",
		"POST /api/lists/subscribe": fmt.Sprintf(`{"listId":%d,"subscribers":[]}`, a),
	} {
		method, path, _ := strings.Cut(call, " ")
		if msg := c.refused(method, path, body, 400, "Success"); msg != fmt.Sprintf("error.lists.invalidListId(%d)", a) {
			t.Errorf("%s: %s", call, msg)
		}
	}
	long := strings.Repeat("ø", 141)
	for body, word := range map[string]string{
		`{"name":""}`:                               "name",
		`{"description":"x"}`:                       "name",
		`{"name":1}`:                                "number",
		`{"name":"a","colour":"red"}`:               "colour",
		`{"name":"a","description":"` + long + `"}`: "141",
		`["a"]`: "array",
	} {
		if msg := c.refused("POST", "/api/lists", body, 400, "BadParams"); !strings.Contains(msg, word) {
			t.Errorf("%s: the message %q doesn't say %q", body, msg, word)
		}
	}
	for _, body := range []string{``, `{`, `{"name":"a"} x`, `{"name":"a",}`, "{\"name\":\"a\nb\"}", `{"name":"\x"}`} {
		c.refused("POST", "/api/lists", body, 400, "BadJsonBody")
	}
	c.ok("POST", "/api/lists", `{"name":"a","description":"`+long[2:]+`"}`)
}

func TestUsersOfAList(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	var want []string
	for i := range 70 {
		want = append(want, fmt.Sprintf("p%02d@example.com", i))
	}
	for _, e := range want {
		c.update("subscribe", l, fmt.Sprintf(`{"email":%q,"userId":"id-%s"}`, strings.ToUpper(e), e))
	}
	for _, path := range []string{"getUsers?listId=%d", "previewUsers?listId=%d&size=5000"} {
		got := strings.Fields(c.ok("GET", "/api/lists/"+fmt.Sprintf(path, l), ""))
		slices.Sort(got)
		equal(t, path, got, want)
	}
	for path, lines := range map[string]int{"getUsers?listId=%d&maxResults=7": 7, "previewUsers?listId=%d&size=69": 69} {
		got := strings.Fields(c.ok("GET", "/api/lists/"+fmt.Sprintf(path, l), ""))
		slices.Sort(got)
		equal(t, path, len(slices.Compact(got)), lines)
	}
	if got := c.ok("GET", fmt.Sprintf("/api/lists/previewUsers?listId=%d&size=1&preferUserId=true", l), ""); !strings.HasPrefix(got, "id-p") {
		t.Errorf("preferUserId gives %q", got)
	}
	for _, q := range []string{"", "?listId=x", "?listId=1&size=5001", "?listId=1&size=0", "?listId=1&size=x", "?listId=1&preferUserId=x"} {
		c.refused("GET", "/api/lists/previewUsers"+q, "", 400, "BadParams")
	}
}

func TestKeys(t *testing.T) {
	c := start(t, Config{Keys: map[string]KeyType{"server": ServerKey, "reading": ReadOnlyKey, "mobile": "mobile"}})
	try := func(key, method, path, body string, status int, code string) {
		t.Helper()
		c.key = key
		c.refused(method, path, body, status, code)
	}
	for _, key := range []string{"", "wrong"} {
		try(key, "GET", "/api/lists", "", 401, "BadApiKey")
	}
	try("mobile", "GET", "/api/lists", "", 403, "Forbidden")
	try("mobile", "GET", "/api/users/getFields", "", 403, "Forbidden")
	try("reading", "POST", "/api/lists", `{"name":"a"}`, 403, "Forbidden")
	try("reading", "DELETE", "/api/lists/1", "", 403, "Forbidden")
	try("reading", "POST", "/api/lists/subscribe", `{}`, 403, "Forbidden")
	try("reading", "POST", "/api/lists/unsubscribe", `{}`, 403, "Forbidden")
	c.ok("GET", "/api/lists", "")
	c.ok("GET", "/api/users/getFields", "")
	c.key = "server"
	c.list("l")
	c.server.Revoke("server", true)
	c.refused("GET", "/api/lists", "", 401, "BadApiKey")
	c.server.Revoke("server", false)
	c.ok("GET", "/api/lists", "")
}

func TestPaths(t *testing.T) {
	c := start(t, Config{})
	for _, path := range []string{"/", "/api/", "/api/campaigns", "/api/lists/1/x", "/api/lists/1/size/x", "/sandbox/x", "/api/users/a/b"} {
		c.refused("GET", path, "", 404, "NotFound")
	}
}

func TestBodyLimits(t *testing.T) {
	c := start(t, Config{MaxSubscribers: 3})
	l := c.list("l")
	row := `{"email":"a@example.com"}`
	body := fmt.Sprintf(`{"listId":%d,"subscribers":[%s]}`, l, row)
	fits := body + strings.Repeat(" ", 4<<20-len(body))
	c.ok("POST", "/api/lists/subscribe", fits)
	c.refused("POST", "/api/lists/subscribe", fits+" ", 413, "BatchTooLarge")
	c.refused("POST", "/api/lists/subscribe", strings.Repeat(" ", 10<<20), 413, "BatchTooLarge")
	r, _ := http.NewRequest("POST", c.url+"/api/lists/subscribe", io.MultiReader(strings.NewReader(fits), strings.NewReader("  ")))
	r.Header.Set("Api-Key", c.key)
	resp, err := http.DefaultClient.Do(r) // chunked: the length is not known
	if err != nil || resp.StatusCode != 413 {
		t.Errorf("a chunked body that is too large: %v %v", resp, err)
	}
	resp.Body.Close()
	equal(t, "three rows", c.update("subscribe", l, row+","+row+","+row).SuccessCount, 3)
	c.refused("POST", "/api/lists/subscribe", fmt.Sprintf(`{"listId":%d,"subscribers":[%s,%s,%s,%s]}`, l, row, row, row, row), 400, "BatchTooLarge")

	r, _ = http.NewRequest("POST", c.url+"/api/lists", strings.NewReader(`{"name":"x"}`))
	r.Header.Set("Api-Key", c.key)
	r.Header.Set("Content-Encoding", "gzip")
	resp, err = http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("a compressed body: %v %v", resp, err)
	}
	resp.Body.Close()
}

func TestConcurrentUse(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	var wg sync.WaitGroup
	want := map[string]bool{}
	for g := range 4 {
		for i := range 300 {
			if i%3 != 0 {
				want[fmt.Sprintf("p%d-%d@example.com", g, i)] = true
			}
		}
		wg.Go(func() {
			for i := range 300 {
				row := fmt.Sprintf(`{"email":"p%d-%d@example.com","dataFields":{"n":%d}}`, g, i, i)
				body := fmt.Sprintf(`{"listId":%d,"subscribers":[%s]}`, l, row)
				calls := []string{body}
				if i%3 == 0 {
					calls = append(calls, fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"P%d-%d@example.com"}]}`, l, g, i))
				}
				for n, call := range calls {
					r := httptest.NewRequest("POST", []string{"/api/lists/subscribe", "/api/lists/unsubscribe"}[n], strings.NewReader(call))
					r.Header.Set("Api-Key", DefaultKey)
					w := httptest.NewRecorder()
					c.server.ServeHTTP(w, r)
					if !strings.Contains(w.Body.String(), `"successCount":1`) {
						t.Errorf("%s: %s", call, w.Body)
					}
				}
				if i%100 == 0 {
					c.server.Stats(true)
					c.server.Requests(10)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "members", c.members(l), slices.Sorted(maps.Keys(want)))
	equal(t, "digest", c.server.Stats(true).Lists[0].Digest, sha(slices.Sorted(maps.Keys(want))...))
}

func TestServeStopsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c := &caller{t, s, "http://" + l.Addr().String(), DefaultKey}
	c.ok("GET", "/api/lists", "")
	if err := s.AddFaults(Fault{Kind: "hang", Count: 1}); err != nil {
		t.Fatal(err)
	}
	hung := make(chan error, 1)
	go func() {
		_, err := c.try("GET", "/api/lists", "")
		hung <- err
	}()
	c.met()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if <-hung == nil {
		t.Error("a request that hangs was answered")
	}
}

// TestNothingIsAnsweredAfterTheEnd has a client send a request again whose connection was closed
// by Serve, before the listener was.
func TestNothingIsAnsweredAfterTheEnd(t *testing.T) {
	c := start(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/lists", strings.NewReader(`{"name": "late"}`))
	r.Header.Set("Api-Key", DefaultKey)
	func() {
		defer func() {
			if ended := recover(); ended != http.ErrAbortHandler {
				t.Errorf("the handler ended with %v", ended)
			}
		}()
		c.server.ServeHTTP(httptest.NewRecorder(), r)
	}()
	equal(t, "lists", len(c.server.Stats(false).Lists), 0)
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "[::]:0", "nonsense"} {
		if err := New(Config{}).ListenAndServe(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "sandbox address") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for addr, config := range map[string]Config{"127.0.0.1:0": {}, "localhost:0": {}, ":0": {AllowRemote: true}} {
		if err := New(config).ListenAndServe(ctx, addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestListenAndServe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	if err := New(Config{}).ListenAndServe(t.Context(), addr); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("a taken port: %v", err)
	}
	taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New(Config{}).ListenAndServe(ctx, addr) }()
	c := &caller{t: t, url: "http://" + addr, key: DefaultKey}
	for {
		if _, err := c.try("GET", "/api/lists", ""); err == nil {
			break
		}
		select {
		case err := <-served:
			t.Fatalf("ListenAndServe ended: %v", err)
		default: // it isn't listening yet
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("after the end of its context: %v", err)
	}
}
