package apitest

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"iterable-segment-export/internal/iterable/api"
)

func open(t *testing.T) *Contract {
	t.Helper()
	c, err := Open()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("Iterable's OpenAPI document is not there: nothing is held against it")
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every endpoint that the client and the sandbox know is in the document, and the
// limits are those that it states.
func TestEndpointsAreThoseOfTheDocument(t *testing.T) {
	c := open(t)
	for _, e := range api.Endpoints {
		if _, ok := c.paths[e.Path][strings.ToLower(e.Method)]; !ok {
			t.Errorf("%s is not in the document", e)
		}
	}
	stated := regexp.MustCompile(`Rate limit</b>: (\d+) requests/(second|minute), per project`)
	for _, e := range api.Endpoints {
		var perSecond, perMinute float64
		if m := stated.FindStringSubmatch(c.paths[e.Path][strings.ToLower(e.Method)].Description); m != nil {
			n, _ := strconv.ParseFloat(m[1], 64)
			if m[2] == "second" {
				perSecond = n
			} else {
				perMinute = n
			}
		}
		if e.PerSecond != perSecond || e.PerMinute != perMinute {
			t.Errorf("%s: the document states %g a second and %g a minute", e, perSecond, perMinute)
		}
	}
}

func TestWhatTheContractRefuses(t *testing.T) {
	c := open(t)
	for body, fits := range map[string]bool{
		`{"listId":1,"subscribers":[{"email":"a@example.com","dataFields":{"a":1}}],"updateExistingUsersOnly":false}`: true,
		`{"listId":1,"subscribers":[{"userId":"u","preferUserId":true,"mergeNestedObjects":true}]}`:                   true,
		`{"listId":1,"subscribers":[{"email":"a@example.com","userId":"u"}]}`:                                         false,
		`{"listId":1,"subscribers":[{"email":"a@example.com","colour":"red"}]}`:                                       false,
		`{"listId":"1","subscribers":[]}`:     false,
		`{"subscribers":[]}`:                  false,
		`{"listId":1,"subscribers":[],"x":1}`: false,
	} {
		r := httptest.NewRequest("POST", "/api/lists/subscribe", nil)
		r.Header.Set("Content-Type", "application/json")
		if err := c.Request(api.Subscribe, r, []byte(body)); (err == nil) != fits {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, a := range []struct {
		status int
		kind   string
		body   string
		fits   bool
	}{
		{200, "application/json", `{"successCount":1,"failCount":0}`, true},
		{200, "application/json", `{"successCount":1}`, false},
		{200, "application/json", `{"successCount":1,"failCount":0,"failures":[]}`, false},
		{200, "application/json", `{"successCount":"1","failCount":0}`, false},
		{400, "application/json", `{"msg":"x","code":"Success","params":null}`, true},
		{400, "application/json", `{"msg":"x","code":"Odd"}`, false},
		{404, "application/json", `{"msg":"x","code":"NotFound"}`, false},
		{429, "text/plain", `Too Many Requests`, true},
	} {
		if err := c.Answer(api.Subscribe, a.status, a.kind, []byte(a.body)); (err == nil) != a.fits {
			t.Errorf("%d %s: %v", a.status, a.body, err)
		}
	}
}
