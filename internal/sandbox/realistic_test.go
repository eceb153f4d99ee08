package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

func (c *caller) sizeOf(list int64) string {
	c.t.Helper()
	return c.ok("GET", fmt.Sprintf("/api/lists/%d/size", list), "")
}

// The zero Config does not know a new list at once, and shows changes late.
func TestEventualConsistency(t *testing.T) {
	c, clock := startWithClock(t, Config{Rate: -1, Exactly: true})
	l := c.list("l")
	rows := func(who string) string {
		return fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"%s@example.com"}]}`, l, who)
	}
	for _, call := range []string{"subscribe", "unsubscribe"} {
		if msg := c.refused("POST", "/api/lists/"+call, rows("a"), 400, "Success"); msg != fmt.Sprintf("error.lists.invalidListId(%d)", l) {
			t.Error(msg)
		}
	}
	clock.t = clock.t.Add(DefaultNewList)
	c.ok("POST", "/api/lists/subscribe", rows("a"))
	clock.t = clock.t.Add(40 * time.Second)
	c.ok("POST", "/api/lists/subscribe", rows("b"))
	c.ok("POST", "/api/lists/unsubscribe", rows("a"))
	users := func() string { return c.ok("GET", fmt.Sprintf("/api/lists/getUsers?listId=%d", l), "") }
	equal(t, "at once", []string{c.sizeOf(l), users()}, []string{"0", ""})
	clock.t = clock.t.Add(20 * time.Second)
	equal(t, "a minute after the first", []string{c.sizeOf(l), users()}, []string{"1", "a@example.com\n"})
	clock.t = clock.t.Add(time.Minute)
	equal(t, "later", []string{c.sizeOf(l), users()}, []string{"1", "b@example.com\n"})
	equal(t, "members", c.members(l), []string{"b@example.com"})
}

// A random delay is not longer than the documented one.
func TestDelaysAreRandom(t *testing.T) {
	s := New(Config{})
	seen := map[time.Duration]bool{}
	for range 100 {
		d := s.delay(DefaultNewList)
		if d < 0 || d >= DefaultNewList {
			t.Fatal(d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different delays", len(seen))
	}
}

func TestDocumentedLimits(t *testing.T) {
	c, clock := startWithClock(t, Config{NewList: -1})
	l := c.list("l")
	for path, want := range map[string]int{
		fmt.Sprintf("/api/lists/%d/size", l): 5, fmt.Sprintf("/api/lists/getUsers?listId=%d", l): 5,
		fmt.Sprintf("/api/lists/previewUsers?listId=%d", l): 5, "/api/users/getFields": 3, "/api/users/forgotten": 3, "/api/lists": 100,
	} {
		taken, texts := 0, map[string]bool{}
		for range want + 30 {
			switch r := c.do("GET", path, ""); r.status {
			case 200:
				taken++
			case 429:
				texts[r.body] = true
			default:
				t.Fatal(r)
			}
		}
		equal(t, path, taken, want)
		if len(texts) != 3 {
			t.Errorf("%s: a 429 has JSON and two texts, got %v", path, texts)
		}
	}
	clock.t = clock.t.Add(12 * time.Second)
	c.sizeOf(l)
	equal(t, "after a fifth of a minute", c.do("GET", fmt.Sprintf("/api/lists/%d/size", l), "").status, 429)
}

func TestSizeOfALargeListTimesOut(t *testing.T) {
	c := serve(t, Config{NewList: -1, Lag: -1, Rate: -1})
	l := c.list("l")
	rows := make([]string, 50_000)
	for n := range 5 {
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"email":"%d-%d@example.com"}`, n, i)
		}
		c.update("subscribe", l, strings.Join(rows, ","))
	}
	if r := c.do("GET", fmt.Sprintf("/api/lists/%d/size", l), ""); r.status != 503 || r.body != "Request timeout. Try again later." {
		t.Errorf("%+v", r)
	}
	equal(t, "then", c.sizeOf(l), "250000")
}

func TestAListInUseIsNotDeleted(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	path := fmt.Sprintf("/api/lists/%d", l)
	c.server.SetInUse(l, true)
	equal(t, "message", c.refused("DELETE", path, "", 409, "GenericError"), "List is in use")
	c.server.SetInUse(l, false)
	c.ok("DELETE", path, "")
}

func TestListsOfOneName(t *testing.T) {
	c := start(t, Config{RefuseTwins: true, TrimNames: true})
	c.list("l")
	c.refused("POST", "/api/lists", `{"name":" l"}`, 400, "BadParams")
}

func TestUnknownFieldsAreDropped(t *testing.T) {
	c := start(t, Config{KeepData: true, Fields: map[string]string{"plan": "string"}, DropUnknownFields: true})
	r := c.update("subscribe", c.list("l"), `{"email":"a@example.com","dataFields":{"plan":"x","b":1,"a":2}},{"email":"b@example.com","dataFields":{"a":"text"}}`)
	equal(t, "answer", []any{r.SuccessCount, len(r.CreatedFields), r.FilteredOutFields}, []any{2, 0, []string{"a", "b"}})
	equal(t, "fields", c.ok("GET", "/api/users/getFields", ""), `{"fields":{"plan":"string"}}`)
	equal(t, "profile", c.ok("GET", "/api/users/getByEmail?email=A@example.com", ""), `{"user":{"email":"a@example.com","dataFields":{"plan":"x"}}}`)
}

func TestUsers(t *testing.T) {
	c := start(t, Config{KeepData: true, Project: HybridProject})
	l := c.list("l")
	c.ok("POST", "/api/users/update", `{"email":"A@example.com","userId":"u","dataFields":{"n":1},"createNewFields":true}`)
	c.ok("POST", "/api/users/update", `{"userId":"u","dataFields":{"m":1},"createNewFields":false}`)
	equal(t, "profile", c.ok("GET", "/api/users/byUserId/u", ""), `{"user":{"email":"a@example.com","userId":"u","dataFields":{"n":1}}}`)
	c.update("subscribe", l, `{"email":"a@example.com"},{"email":"b@example.com"}`)
	c.ok("DELETE", "/api/users/byUserId/u", "")
	equal(t, "members", c.members(l), []string{"b@example.com\t"})
	equal(t, "profile", c.ok("GET", "/api/users/a@example.com", ""), `{}`)
	c.server.Mark(Forgotten, "Gone@example.com", "Gone")
	c.refused("POST", "/api/users/update", `{"email":"gone@example.com"}`, 400, "ForgottenUserError")
	c.refused("POST", "/api/users/update", `{"email":"gone"}`, 400, "InvalidEmailAddressError")
	c.refused("POST", "/api/users/update", `{"userId":""}`, 400, "InvalidUserIdError")
	c.refused("POST", "/api/users/update", `{}`, 400, "BadParams")
	hash := func(who string) string {
		sum := sha256.Sum256([]byte(who))
		return hex.EncodeToString(sum[:])
	}
	equal(t, "forgotten", c.ok("GET", "/api/users/forgotten", ""), `{"hashedEmails":["`+hash("gone@example.com")+`"]}`)
	equal(t, "forgotten ids", c.ok("GET", "/api/users/forgottenUserIds", ""), `{"hashedUserIds":["`+hash("gone")+`"]}`)
	for kind, path := range map[ProjectType]string{EmailProject: "forgottenUserIds", UserIDProject: "forgotten"} {
		c := start(t, Config{Project: kind})
		c.refused("GET", "/api/users/"+path, "", 400, "BadParams")
	}
}

// What a production client saw (iterable-go): the field, its type, and the value,
// which is personal data.
func TestMismatchNamesTheField(t *testing.T) {
	c := start(t, Config{RefuseMismatches: true, Fields: map[string]string{"age": "long"}})
	r := c.do("POST", "/api/lists/subscribe", fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com","dataFields":{"age":"old"}}]}`, c.list("l")))
	equal(t, "answer", r.body, `{"msg":"Request fields types mismatched: age","code":"RequestFieldsTypesMismatched","params":{"validationErrors":{"age":`+
		`{"category":"user","expectedType":"long","incomingTypes":["string"],"offendingValue":"old"}}}}`)
}
