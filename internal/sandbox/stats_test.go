package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"iterable-segment-export/internal/iterable/api"
)

func TestStats(t *testing.T) {
	for kind, want := range map[ProjectType][]string{
		EmailProject: {"a@example.com", "b@example.com"}, UserIDProject: {"B", "b"}, HybridProject: {"\tb", "a@example.com\t", "b@example.com\tB"},
	} {
		c := start(t, Config{Project: kind})
		l, empty := c.list("Spring"), c.list("Spring")
		c.update("subscribe", l, `{"userId":"b"},{"userId":"B","email":"B@example.com"},{"email":"a@example.com"},{"email":"x"}`)
		c.update("unsubscribe", l, `{"email":"c@example.com"}`)
		c.refused("POST", "/api/lists/subscribe", `{}`, 400, "BadParams")
		c.refused("POST", "/api/lists/subscribe", `{"listId":99,"subscribers":[]}`, 400, "Success")
		equal(t, "members", c.members(l), want)
		equal(t, "lists", c.server.Stats(true).Lists, []ListStats{{l, "Spring", len(want), sha(want...)}, {empty, "Spring", 0, sha()}})
		var s Stats
		decode(t, c.ok("GET", "/sandbox/stats", ""), &s)
		equal(t, "lists without digests", s.Lists, []ListStats{{l, "Spring", len(want), ""}, {empty, "Spring", 0, ""}})
		equal(t, "subscribe", s.Endpoints["lists/subscribe"], EndpointStats{Requests: 3, UnknownList: 1})
	}
	if _, err := New(Config{}).Members(99); err == nil {
		t.Error("a list that is not there has members")
	}
}

func TestRequestLog(t *testing.T) {
	c := start(t, Config{})
	l := c.list("l")
	for range 2 {
		c.update("subscribe", l, `{"email":"ann@example.com"},{"email":"bob@example.com"}`)
	}
	c.update("subscribe", l, `{"email":"bob@example.com"}`)
	c.refused("GET", "/api/nothing", "", 404, "NotFound")
	r := c.server.Requests(4)
	if log := fmt.Sprint(r); strings.Contains(log, "example.com") || strings.Contains(log, DefaultKey) {
		t.Errorf("the log holds people or keys: %s", log)
	}
	if len(r) != 4 || r[0].Body != r[1].Body || r[1].Body == r[2].Body || r[0].Rows != 2 || r[0].Endpoint != "lists/subscribe" || r[0].Status != 200 ||
		r[0].Time.IsZero() || r[3].Endpoint != "unknown" || r[3].Status != 404 {
		t.Errorf("%+v", r)
	}
}

func TestRequestLogIsBounded(t *testing.T) {
	s := New(Config{})
	for i := range 2*keptRequests + 5 {
		s.log(s.now(), api.Lists, nil, answer{rows: i}, false)
	}
	equal(t, "kept", []int{len(s.requests), s.requests[len(s.requests)-1].Rows}, []int{keptRequests + 5, 2*keptRequests + 4})
}

func TestListsBehindTheAPI(t *testing.T) {
	c := start(t, Config{})
	for _, kind := range []string{"", "Dynamic", "Suppression", "Internal"} {
		body := fmt.Sprintf(`{"listId":%d,"subscribers":[]}`, c.server.AddList(api.List{Name: "Twin", ListType: kind}))
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
}
