package iterable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Subscribe makes one subscribe request, without the pace.
func (c *Client) Subscribe(ctx context.Context, body []byte) (Result, error) {
	return do(ctx, c, call{endpoint: api.Subscribe, body: body}, decodeResult)
}

// Unsubscribe makes one unsubscribe request, without the pace.
func (c *Client) Unsubscribe(ctx context.Context, body []byte) (Result, error) {
	return do(ctx, c, call{endpoint: api.Unsubscribe, body: body}, decodeResult)
}

func codeOf(data []byte) string {
	code, _, _ := decodeError(data)
	return code
}

const testKey = "0123456789abcdef-secret"

// serve starts a server and a client of it that does not really wait.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(h)
	return clientOf(t, srv, Options{}), srv
}

func clientOf(t *testing.T, srv *httptest.Server, o Options) *Client {
	t.Helper()
	o.BaseURL = srv.URL
	if o.Key == nil {
		o.Key = func() (string, error) { return testKey + "\n", nil }
	}
	if o.Limits.RequestsPerSecond == 0 {
		o.Limits = schemas.Limits{RequestsPerSecond: 1e6}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close(); c.Close() })
	return c
}

func TestCallsAreWhatIterableExpects(t *testing.T) {
	var got []string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		if k := r.Header.Get("Api-Key"); k != testKey {
			t.Errorf("Api-Key %q", k)
		}
		if ua := r.UserAgent(); ua != "iterable-segment-export/dev" {
			t.Errorf("User-Agent %q", ua)
		}
		if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("Content-Type %q", r.Header.Get("Content-Type"))
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /api/lists":
			fmt.Fprint(w, `{"lists":[{"id":1,"name":"a","description":"d","listType":"Standard","createdAt":1700000000000},{"id":2,"name":"b","listType":"Dynamic"}]}`)
		case "POST /api/lists":
			fmt.Fprint(w, `{"listId":123}`)
		case "DELETE /api/lists/7":
			fmt.Fprint(w, `{"msg":"","code":"Success","params":null}`)
		case "GET /api/lists/7/size":
			fmt.Fprint(w, "48213\n")
		case "GET /api/users/getFields":
			fmt.Fprint(w, `{"fields":{"firstName":"string"}}`)
		default:
			fmt.Fprint(w, `{"successCount":2,"failCount":0}`)
		}
	})
	ctx := t.Context()
	lists, err := c.Lists(ctx)
	if err != nil || len(lists) != 2 || lists[0].Type != api.Standard || lists[0].CreatedAt.UnixMilli() != 1700000000000 || !lists[1].CreatedAt.IsZero() {
		t.Errorf("Lists: %+v, %v", lists, err)
	}
	if id, err := c.CreateList(ctx, "n", strings.Repeat("ö", 200)); id != 123 || err != nil {
		t.Errorf("CreateList: %d, %v", id, err)
	}
	if err := c.DeleteList(ctx, 7); err != nil {
		t.Errorf("DeleteList: %v", err)
	}
	if n, err := c.ListSize(ctx, 7); n != 48213 || err != nil {
		t.Errorf("ListSize: %d, %v", n, err)
	}
	if f, err := c.Fields(ctx); f["firstName"] != "string" || err != nil {
		t.Errorf("Fields: %v, %v", f, err)
	}
	if r, err := c.Subscribe(ctx, []byte(`{"a":1}`)); r.SuccessCount != 2 || err != nil {
		t.Errorf("Subscribe: %+v, %v", r, err)
	}
	if r, err := c.Unsubscribe(ctx, []byte(`{"b":1}`)); r.SuccessCount != 2 || err != nil {
		t.Errorf("Unsubscribe: %+v, %v", r, err)
	}
	want := []string{
		"GET /api/lists ",
		`POST /api/lists {"name":"n","description":"` + strings.Repeat("ö", 139) + `…"}`,
		"DELETE /api/lists/7 ", "GET /api/lists/7/size ", "GET /api/users/getFields ",
		`POST /api/lists/subscribe {"a":1}`, `POST /api/lists/unsubscribe {"b":1}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestErrorClasses(t *testing.T) {
	for _, tt := range []struct {
		status     int
		body       string
		retryAfter string
		want       Class
		code       string
		pause      time.Duration
	}{
		{408, ``, "", Transient, "", 0},
		{500, `{"msg":"x","code":"GenericError"}`, "", Transient, "GenericError", 0},
		{500, `{"msg":"x","code":"Success"}`, "", Transient, "Success", 0},
		{502, `<html>bad gateway</html>`, "", Transient, "", 0},
		{503, ``, "7", Transient, "", 7 * time.Second},
		{429, `{"msg":"x","code":"RateLimitExceeded"}`, "2", Throttled, "RateLimitExceeded", 2 * time.Second},
		{429, ``, "0.5", Throttled, "", 500 * time.Millisecond},
		{429, ``, "soon", Throttled, "", 0},
		{429, ``, "-3", Throttled, "", 0},
		{429, ``, "NaN", Throttled, "", 0},
		{429, ``, "1e300", Throttled, "", maxRetryAfter},
		{429, ``, "Mon, 01 Jan 2001 00:00:00 GMT", Throttled, "", 0},
		{429, ``, "Fri, 01 Jan 2100 00:00:00 GMT", Throttled, "", maxRetryAfter},
		{413, ``, "", TooLarge, "", 0},
		{400, `{"code":"BatchTooLarge"}`, "", TooLarge, "BatchTooLarge", 0},
		{400, `{"code":"BadParams","params":{"a":["b"]}}`, "", BadRequest, "BadParams", 0},
		{400, `{"code":"ann@example.com"}`, "", BadRequest, "other", 0},
		{400, `{"code":17}`, "", BadRequest, "other", 0},
		{400, `{"code":null}`, "", BadRequest, "", 0},
		{400, `{"code":"RequestFieldsTypesMismatched"}`, "", FieldTypes, "RequestFieldsTypesMismatched", 0},
		{400, `{"code":"UniqueFieldsLimitExceeded"}`, "", FieldsLimit, "UniqueFieldsLimitExceeded", 0},
		{400, `{"code":"RateLimitExceeded"}`, "", Throttled, "RateLimitExceeded", 0},
		{409, `{"code":"ExternalKeyConflict"}`, "", BadRequest, "ExternalKeyConflict", 0},
		{401, `{"msg":"Invalid API key","code":"BadApiKey"}`, "", KeyRejected, "BadApiKey", 0},
		{403, `{"code":"ForbiddenParamsError"}`, "", Forbidden, "ForbiddenParamsError", 0},
		{404, `{"code":"NotFound"}`, "", NotFound, "NotFound", 0},
		{400, `{"msg":"error.lists.invalidListId(123)","code":"Success","params":{"projectId":1,"listId":123}}`, "", UnknownList, "", 0},
		{500, `{"msg":"error.lists.invalidListId(123)","code":"Success"}`, "", UnknownList, "", 0},
		{404, `{"msg":"error.lists.invalidListId(123)","code":7}`, "", UnknownList, "", 0},
		{405, ``, "", Unexpected, "", 0},
		{304, ``, "", Unexpected, "", 0},
		{200, ``, "", Transient, "", 0},
		{200, `<!doctype html>`, "", Transient, "", 0},
		{200, `{"successCount":1,"failCount":0,"created`, "", Transient, "", 0},
		{200, `{}`, "", Transient, "", 0},
		{200, `{"successCount":"1"}`, "", Transient, "", 0},
		{200, `{"successCount":-1}`, "", Transient, "", 0},
		{200, `{"successCount":1}` + strings.Repeat(" ", maxAnswer), "", Unexpected, "", 0},
	} {
		t.Run(fmt.Sprintf("%d %.30s %s", tt.status, tt.body, tt.retryAfter), func(t *testing.T) {
			c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, err := c.Subscribe(t.Context(), []byte(`{}`))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Class != tt.want || e.Status != tt.status || e.Code != tt.code || e.RetryAfter != tt.pause {
				t.Errorf("got %+v, want %s, code %q, pause %s", e, tt.want, tt.code, tt.pause)
			}
			if advice[e.Class] == "" || !strings.HasSuffix(e.Error(), advice[e.Class]) {
				t.Errorf("%q does not say what to do", e)
			}
			if (e.Type() == "") != e.retryable() {
				t.Errorf("type %q, retryable %v", e.Type(), e.retryable())
			}
		})
	}
}

// Whoever asks for the fields at about the same time shares a request.
func TestFieldsAreAskedForOnce(t *testing.T) {
	asked := 0
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { asked++; io.WriteString(w, `{"fields":{"a":"string"}}`) })
	for range 20 {
		if got, err := c.SharedFields(t.Context()); err != nil || got["a"] != "string" {
			t.Error(got, err)
		}
	}
	if asked < 1 || asked > 5 {
		t.Errorf("%d requests", asked)
	}
}
