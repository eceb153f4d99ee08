package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"iterable-segment-export/internal/iterable/api"
)

func TestEmptyArraysAreMissing(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	got := c.ok("POST", "/api/lists/subscribe", fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"A@example.com","dataFields":{"plan":"x"}},{"email":"NOPE@"}],"updateExistingUsersOnly":null}`, l))
	equal(t, "answer", got, `{"successCount":1,"failCount":1,"createdFields":["plan"],`+
		`"failedUpdates":{"invalidEmails":["nope@"]},"invalidEmails":["nope@"]}`)
}

func TestSubscribeAndUnsubscribe(t *testing.T) {
	c := start(t, Config{})
	l, other := c.list("l"), c.list("l")
	r := c.update("subscribe", l, `{"email":"Ann@Example.COM"},{"email":"ann@example.com"},{"email":"b\u006fb@example.com"}`)
	equal(t, "added", []int{r.SuccessCount, r.FailCount}, []int{3, 0})
	equal(t, "members", c.members(l), []string{"ann@example.com", "bob@example.com"})
	equal(t, "the other list", len(c.members(other)), 0)
	c.update("subscribe", other, `{"email":"ann@example.com"}`)

	r = c.update("unsubscribe", l, `{"email":"ANN@example.com"},{"email":"Ann@example.com"},{"email":"Nobody@example.com"}`)
	equal(t, "removed", []int{r.SuccessCount, r.FailCount}, []int{1, 2})
	equal(t, "not found", r.FailedUpdates.NotFoundEmails, []string{"ann@example.com", "nobody@example.com"})
	equal(t, "members", c.members(l), []string{"bob@example.com"})
	equal(t, "the other list", c.members(other), []string{"ann@example.com"})
	c.ok("POST", "/api/lists/unsubscribe", fmt.Sprintf(`{"listId":%d,"subscribers":[],"channelUnsubscribe":false,"campaignId":null}`, l))
}

func TestStrictBodies(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	if l != 1 {
		t.Fatal("the bodies below expect the list to be 1")
	}
	row := func(row string) string { return `{"listId":1,"subscribers":[` + row + `]}` }
	for _, call := range []string{"subscribe", "unsubscribe"} {
		for body, word := range map[string]string{
			`[]`:                               "array",
			`{"subscribers":[]}`:               "listId",
			`{"listId":1}`:                     "subscribers",
			`{"listId":"1","subscribers":[]}`:  "string",
			`{"listId":1.5,"subscribers":[]}`:  "1.5",
			`{"listId":null,"subscribers":[]}`: "listId",
			`{"listId":99999999999999999999,"subscribers":[]}`: "99999",
			`{"listId":1,"subscribers":{}}`:                    "object",
			`{"listId":1,"subscribers":null}`:                  "subscribers",
			`{"listId":1,"subscribers":[],"a\tb":1}`:           `a\tb`,
			row(`"ann@example.com"`):                           "string",
			row(`{}`):                                          "email or userId",
			row(`{"email":null}`):                              "email or userId",
			row(`{"email":1}`):                                 "number",
			row(`{"userId":1}`):                                "number",
			row(`{"userId":["a"]}`):                            "array",
			row(`{"email":"ann@example.com","x":1}`):           `unknown field \"x\"`,
		} {
			if msg := c.refused("POST", "/api/lists/"+call, body, 400, "BadParams"); !strings.Contains(msg, strings.ReplaceAll(word, `\"`, `"`)) {
				t.Errorf("%s %s: the message %q doesn't say %q", call, body, msg, word)
			}
		}
		for _, body := range []string{``, `{`, `{"listId":01,"subscribers":[]}`, `{"listId":1 "subscribers":[]}`,
			`{"listId":1,"subscribers":[]`, `{"listId":1,"subscribers":[]}]`, `{"listId":1,"subscribers":[,]}`, `{"listId":1,"subscribers":[{"email":"a"},]}`,
			`{"listId":1,"subscribers":[{"email":"a}]}`, `{"listId":1,"subscribers":[{"email":"\u12"}]}`, "{\"listId\":1,\"subscribers\":[{\"email\":\"a\x00\"}]}",
			`{listId:1}`, `{"listId":-,"subscribers":[]}`, "\ufeff{}"} {
			c.refused("POST", "/api/lists/"+call, body, 400, "BadJsonBody")
		}
	}
	for _, body := range []string{
		row(`{"email":"ann@example.com","dataFields":[]}`), row(`{"email":"ann@example.com","dataFields":"x"}`),
		row(`{"email":"ann@example.com","preferUserId":"true"}`), row(`{"email":"ann@example.com","mergeNestedObjects":1}`),
		`{"listId":1,"subscribers":[],"updateExistingUsersOnly":"no"}`, `{"listId":1,"subscribers":[],"channelUnsubscribe":false}`,
	} {
		c.refused("POST", "/api/lists/subscribe", body, 400, "BadParams")
	}
	for _, data := range []string{`{"a":}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":+1}`, `{"a":tru}`, `{"a":NaN}`, `{"a":{"b":[1,]}}`, `{a:1}`, `{"a":{1:2}}`, `{"a" 1}`} {
		c.refused("POST", "/api/lists/subscribe", row(`{"email":"ann@example.com","dataFields":`+data+`}`), 400, "BadJsonBody")
	}
	for _, body := range []string{row(`{"email":"ann@example.com","dataFields":{}}`), row(`{"email":"ann@example.com","preferUserId":false}`),
		`{"listId":1,"subscribers":[],"updateExistingUsersOnly":true}`, `{"listId":1,"subscribers":[],"channelUnsubscribe":0}`, `{"listId":1,"subscribers":[],"campaignId":"1"}`} {
		c.refused("POST", "/api/lists/unsubscribe", body, 400, "BadParams")
	}
	equal(t, "members after refused requests", len(c.members(l)), 0)
	equal(t, "fields after refused requests", c.ok("GET", "/api/users/getFields", ""), `{"fields":{}}`)
}

func TestAddresses(t *testing.T) {
	long := strings.Repeat("a", 60)
	for address, want := range map[string]bool{
		"ann@example.com": true, "a.b+c@sub.example.co.uk": true, "o'brien@example.com": true, "x@1.2": true,
		"u@placeholder.email": true, long + "aaaa@example.com": true, "a@" + long + "aaa.com": true,
		"": false, "ann": false, "ann@": false, "@example.com": false, "ann@example": false, "a@b@example.com": false, "ann @example.com": false,
		" ann@example.com": false, "ann@example.com ": false, "ann@example..com": false, "ann@.example.com": false, "ann@example.com.": false,
		".ann@example.com": false, "ann.@example.com": false, "a..b@example.com": false, "ann@-example.com": false, "ann@example-.com": false,
		"ann@exa_mple.com": false, `"ann"@example.com`: false, "ann@[127.0.0.1]": false, "ænn@example.com": false, "ann@exæmple.com": false,
		"ann\x00@example.com": false, long + "aaaaa@example.com": false, "a@" + long + "aaaa.com": false,
		"a@" + strings.Repeat(long+".", 4) + "example.com": false, "a,b@example.com": false,
	} {
		if deliverable(address) != want {
			t.Errorf("%q is taken: %v", address, !want)
		}
	}
}

func TestMarkedPeople(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	for _, m := range []string{"forgotten", "conflict", "invalidData", "invalid", "notFound"} {
		c.server.Mark(m, m+"@Example.com", "id-"+m)
	}
	for _, call := range []string{"subscribe", "unsubscribe"} {
		r := c.update(call, l, `{"email":"Forgotten@example.com"},{"userId":"id-forgotten"},{"email":"conflict@example.com"},{"userId":"id-conflict"},
			{"email":"invaliddata@example.com"},{"userId":"id-invalidData"},{"email":"invalid@example.com"},{"userId":"id-invalid"},{"email":"notfound@example.com"},{"userId":"id-notFound"}`)
		equal(t, call, r, counted{FailCount: 10, FailedUpdates: api.FailedUpdates{
			InvalidEmails: []string{"invalid@example.com"}, InvalidUserIDs: []string{"id-invalid"},
			NotFoundEmails: []string{"notfound@example.com"}, NotFoundUserIDs: []string{"id-notFound"},
			ForgottenEmails: []string{"forgotten@example.com"}, ForgottenUserIDs: []string{"id-forgotten"},
			ConflictEmails: []string{"conflict@example.com"}, ConflictUserIDs: []string{"id-conflict"},
			InvalidDataEmails: []string{"invaliddata@example.com"}, InvalidDataUserIDs: []string{"id-invalidData"}},
			InvalidEmails: []string{"invalid@example.com"}, InvalidUserIDs: []string{"id-invalid"}})
	}
	c.server.Mark("", "forgotten@example.com")
	equal(t, "no longer forgotten", c.update("subscribe", l, `{"email":"forgotten@example.com"}`).SuccessCount, 1)
}

func TestFieldTypes(t *testing.T) {
	c := start(t, Config{Fields: map[string]string{"old": "long"}})
	l := c.list("l")
	r := c.update("subscribe", l, `{"email":"a@example.com","dataFields":{"s":"x","l":-1,"d":1.5,"b":true,"at":"2026-01-02 03:04:05 +01:00","day":"2026-01-02 03:04:05","o":{"x":[1,{}]},"a":[],"n":null}}`)
	equal(t, "created", r.CreatedFields, []string{"a", "at", "b", "d", "day", "l", "o", "s"})
	equal(t, "fields", c.ok("GET", "/api/users/getFields", ""),
		`{"fields":{"a":"array","at":"date","b":"boolean","d":"double","day":"date","l":"long","o":"object","old":"long","s":"string"}}`)
	equal(t, "created again", len(c.update("subscribe", l, `{"email":"a@example.com","dataFields":{"s":"y"}}`).CreatedFields), 0)
	for data, fits := range map[string]bool{
		`{"s":1}`: false, `{"s":"2026-01-02 03:04:05"}`: true, `{"s":null}`: true, `{"l":1.5}`: false, `{"l":1e3}`: false, `{"l":"1"}`: false,
		`{"d":1}`: true, `{"b":"true"}`: false, `{"at":"yesterday"}`: false, `{"at":"2026-01-02T03:04:05"}`: false, `{"o":[]}`: false, `{"a":{}}`: false,
		`{"fresh":1,"old":true}`: false,
	} {
		r := c.update("subscribe", l, `{"email":"B@example.com","dataFields":`+data+`},{"email":"c@example.com"}`)
		if fits != (r.FailCount == 0) || r.SuccessCount+r.FailCount != 2 || !fits && fmt.Sprint(r.FailedUpdates.InvalidDataEmails) != "[b@example.com]" {
			t.Errorf("%s: %+v", data, r)
		}
	}
	if body := c.ok("GET", "/api/users/getFields", ""); strings.Contains(body, "fresh") {
		t.Error("a refused row created a field")
	}
	r = c.update("subscribe", l, `{"email":"nope","dataFields":{"late":"x"}},{"email":"d@example.com","dataFields":{"late":1}},{"email":"e@example.com","dataFields":{"late":"x"}}`)
	equal(t, "the first value that counts", []any{r.CreatedFields, r.FailedUpdates.InvalidDataEmails}, []any{[]string{"late"}, []string{"e@example.com"}})
}

func TestRefusedMismatches(t *testing.T) {
	c := start(t, Config{RefuseMismatches: true})
	l := c.list("l")
	post := func(rows string) {
		t.Helper()
		c.refused("POST", "/api/lists/subscribe", fmt.Sprintf(`{"listId":%d,"subscribers":[%s]}`, l, rows), 400, "RequestFieldsTypesMismatched")
	}
	post(`{"email":"a@example.com","dataFields":{"a":1}},{"email":"b@example.com","dataFields":{"a":"x"}}`)
	equal(t, "members", c.members(l), []string{})
	c.update("subscribe", l, `{"email":"a@example.com","dataFields":{"a":1,"b":1}}`)
	post(`{"userId":"u","dataFields":{"a":"x"}}`)
	c.update("subscribe", l, `{"email":"b@example.com","dataFields":{"b":1}}`)
}

func TestIdentity(t *testing.T) {
	type step struct {
		call, rows string
		ok         int
		failed     string // the array that holds the failures, as JSON
		members    []string
	}
	for kind, steps := range map[ProjectType][]step{
		EmailProject: {
			{"subscribe", `{"userId":"u1"}`, 0, `"notFoundUserIds":["u1"]`, nil},
			{"subscribe", `{"email":"A@example.com","userId":"u1"}`, 1, "", []string{"a@example.com"}},
			{"subscribe", `{"userId":"u1"}`, 1, "", []string{"a@example.com"}},
			{"subscribe", `{"userId":"U2","preferUserId":true}`, 1, "", []string{"a@example.com", "u2@placeholder.email"}},
			{"unsubscribe", `{"userId":"U2"},{"email":"a@example.com","userId":"other"}`, 2, "", []string{}},
			{"subscribe", `{"userId":""}`, 0, `"invalidUserIds":[""]`, []string{}},
		},
		UserIDProject: {
			{"subscribe", `{"email":"a@example.com"}`, 0, `"notFoundEmails":["a@example.com"]`, nil},
			{"subscribe", `{"userId":"u1","email":"A@example.com"},{"userId":"u2","email":"a@example.com"},{"userId":"U1"},{"userId":"u 1"},{"userId":"ø"},{"userId":"u1 "}`, 4, `"invalidUserIds":["ø","u1 "]`, []string{"U1", "u 1", "u1", "u2"}},
			{"unsubscribe", `{"email":"a@example.com"}`, 1, "", []string{"U1", "u 1", "u2"}},
			{"unsubscribe", `{"userId":"u3","email":"a@example.com"}`, 0, `"notFoundUserIds":["u3"]`, []string{"U1", "u 1", "u2"}},
			{"subscribe", `{"userId":"","email":"b@example.com"}`, 0, `"invalidUserIds":[""]`, []string{"U1", "u 1", "u2"}},
			{"subscribe", `{"userId":"u1","email":"nope"}`, 0, `"invalidEmails":["nope"]`, []string{"U1", "u 1", "u2"}},
			{"subscribe", `{"userId":"` + strings.Repeat("u", 256) + `"}`, 0, "", []string{"U1", "u 1", "u2"}},
		},
		HybridProject: {
			{"subscribe", `{"email":"a@example.com"},{"userId":"u1"}`, 2, "", []string{"\tu1", "a@example.com\t"}},
			{"subscribe", `{"email":"a@example.com","userId":"u1"}`, 0, `"conflictEmails":["a@example.com"]`, []string{"\tu1", "a@example.com\t"}},
			{"subscribe", `{"email":"b@example.com","userId":"u1"},{"email":"a@example.com","userId":"u2"}`, 2, "", []string{"a@example.com\tu2", "b@example.com\tu1"}},
			{"unsubscribe", `{"userId":"u2"},{"email":"b@example.com"}`, 2, "", []string{}},
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			c := start(t, Config{Project: kind})
			l := c.list("l")
			for i, s := range steps {
				body := c.ok("POST", "/api/lists/"+s.call, fmt.Sprintf(`{"listId":%d,"subscribers":[%s]}`, l, s.rows))
				if !strings.Contains(body, fmt.Sprintf(`"successCount":%d,`, s.ok)) || !strings.Contains(body, s.failed) {
					t.Errorf("step %d: %s", i, body)
				}
				if s.members != nil {
					equal(t, fmt.Sprintf("members after step %d", i), c.members(l), s.members)
				}
			}
		})
	}
}

func TestUpdateExistingUsersOnly(t *testing.T) {
	for kind, want := range map[ProjectType]int{EmailProject: 1, UserIDProject: 0, HybridProject: 0} {
		c := start(t, Config{Project: kind})
		body := fmt.Sprintf(`{"listId":%d,"subscribers":[{"email":"a@example.com","userId":"u"}],"updateExistingUsersOnly":%%t}`, c.list("l"))
		for i, only := range []bool{true, false, true} {
			var r counted
			decode(t, c.ok("POST", "/api/lists/subscribe", fmt.Sprintf(body, only)), &r)
			if i > 0 {
				want = 1
			}
			equal(t, fmt.Sprintf("%s, only existing: %v", kind, only), []int{r.SuccessCount, r.FailCount}, []int{want, 1 - want})
		}
	}
}

func TestProfiles(t *testing.T) {
	c := start(t, Config{KeepData: true})
	l := c.list("l")
	get := func() string { return c.ok("GET", "/api/users/a%2B1@example.com", "") }
	equal(t, "nobody", get(), `{}`)
	c.update("subscribe", l, `{"email":"A+1@example.com","userId":"u/1","dataFields":{"a":1,"o":{"x":1}}}`)
	c.update("subscribe", l, `{"email":"a+1@example.com","dataFields":{"b":"2","o":{"y":2}},"mergeNestedObjects":true}`)
	equal(t, "merged", get(), `{"user":{"email":"a+1@example.com","userId":"u/1","dataFields":{"a":1,"b":"2","o":{"x":1,"y":2}}}}`)
	c.update("subscribe", l, `{"email":"a+1@example.com","dataFields":{"o":{"z":3}}}`)
	equal(t, "overwritten", c.ok("GET", "/api/users/byUserId/u%2F1", ""),
		`{"user":{"email":"a+1@example.com","userId":"u/1","dataFields":{"a":1,"b":"2","o":{"z":3}}}}`)
}
