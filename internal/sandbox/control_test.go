package sandbox

import (
	"fmt"
	"strings"
	"testing"
)

func TestStats(t *testing.T) {
	c := start(t, Config{Keys: map[string]Project{DefaultKey: {Name: "mail"}, "other": {Name: "ids", Type: UserIDProject}, "third": {Name: "both", Type: HybridProject}}})
	l := c.list("Spring")
	empty := c.list("Spring")
	c.update("subscribe", l, `{"email":"B@example.com"},{"email":"a@example.com"},{"email":"x"}`)
	c.update("unsubscribe", l, `{"email":"c@example.com"}`)
	c.refused("POST", "/api/lists/subscribe", `{}`, 400, "BadParams")
	c.key = "other"
	ids := c.list("ids")
	c.update("subscribe", ids, `{"userId":"b"},{"userId":"B","email":"b@example.com"}`)
	c.key = "third"
	both := c.list("both")
	c.update("subscribe", both, `{"userId":"b"},{"userId":"B","email":"b@example.com"},{"email":"a@example.com"}`)

	var s Stats
	decode(t, c.ok("GET", "/sandbox/stats", ""), &s)
	zero := "\t0000000000000000"
	equal(t, "projects", s.Projects, []ProjectStats{
		{"both", HybridProject, 3, 0, []ListStats{{both, "both", "Standard", 3, sha("\tb", "a@example.com\t", "b@example.com\tB"),
			sha("\tb"+zero, "a@example.com\t"+zero, "b@example.com\tB"+zero)}}},
		{"ids", UserIDProject, 2, 0, []ListStats{{ids, "ids", "Standard", 2, sha("B", "b"), sha("B"+zero, "b"+zero)}}},
		{"mail", EmailProject, 2, 0, []ListStats{
			{l, "Spring", "Standard", 2, sha("a@example.com", "b@example.com"), sha("a@example.com"+zero, "b@example.com"+zero)},
			{empty, "Spring", "Standard", 0, sha(), sha()}}},
	})
	e := s.Endpoints["lists/subscribe"]
	e.Bytes = 0
	equal(t, "subscribe", e, EndpointStats{Requests: 4, Statuses: map[int]int64{200: 3, 400: 1}, Rows: 8, Failed: 1})
	equal(t, "requests", s.Requests, 9)
	if body := c.ok("GET", "/sandbox/stats?digests=false", ""); strings.Contains(body, "igest") {
		t.Error("digests although none were asked for")
	}
	equal(t, "members", c.ok("GET", fmt.Sprintf("/sandbox/members?list=%d", l), ""), "a@example.com\nb@example.com")
	for _, path := range []string{"members?list=99", "members?list=x", "requests?last=x"} {
		c.refused("GET", "/sandbox/"+path, "", 400, "BadParams")
	}
}

func TestRequestLog(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	for range 2 {
		c.update("subscribe", l, `{"email":"ann@example.com"}`)
	}
	c.update("subscribe", l, `{"email":"bob@example.com"}`)
	c.refused("GET", "/api/nothing", "", 404, "NotFound")
	body := c.ok("GET", "/sandbox/requests?last=4", "")
	if strings.Contains(body, "example.com") || strings.Contains(body, DefaultKey) {
		t.Errorf("the log holds people or keys: %s", body)
	}
	var log struct{ Requests []Request }
	decode(t, body, &log)
	r := log.Requests
	if len(r) != 4 || r[0].Body != r[1].Body || r[1].Body == r[2].Body || r[0].Number != 2 || r[0].Rows != 1 ||
		r[0].Endpoint != "lists/subscribe" || r[0].Project != "sandbox" || r[0].Bytes == 0 || r[3].Endpoint != "unknown" || r[3].Status != 404 {
		t.Errorf("%+v", r)
	}
}

func TestRequestLogIsBounded(t *testing.T) {
	s := New(Config{})
	for range 2*keptRequests + 5 {
		s.log.add(Request{})
	}
	last := s.Requests(keptRequests)
	equal(t, "kept", []int64{int64(len(last)), last[0].Number, last[len(last)-1].Number}, []int64{keptRequests, keptRequests + 6, 2*keptRequests + 5})
	if n := len(s.Requests(3 * keptRequests)); n > 2*keptRequests {
		t.Errorf("%d requests are kept", n)
	}
}

func TestListsBehindTheAPI(t *testing.T) {
	c := start(t, Config{})
	for _, kind := range []string{"", "Dynamic", "Suppression", "Internal"} {
		var made struct{ ListID int64 }
		decode(t, c.ok("POST", "/sandbox/lists", fmt.Sprintf(`{"name":"Twin","type":%q}`, kind)), &made)
		body := fmt.Sprintf(`{"listId":%d,"subscribers":[]}`, made.ListID)
		if kind == "" {
			c.ok("POST", "/api/lists/subscribe", body)
			kind = "Standard"
		} else if msg := c.refused("POST", "/api/lists/subscribe", body, 400, "BadParams"); !strings.Contains(msg, kind) {
			t.Error(msg)
		}
		if all := c.ok("GET", "/api/lists", ""); !strings.Contains(all, `"listType":"`+kind+`"`) {
			t.Error(all)
		}
	}
	for _, body := range []string{`{}`, `{"name":"x","type":"y"}`, `{"name":"x","project":"y"}`, `[]`} {
		c.refused("POST", "/sandbox/lists", body, 400, "BadParams")
	}
}
