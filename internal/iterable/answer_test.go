package iterable

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeResult(t *testing.T) {
	got, err := decodeResult([]byte(`{"successCount":2,"failCount":3,"createdFields":["plan"],"filteredOutFields":["x"],
	 "failedUpdates":{"invalidEmails":["a@b.c"],"notFoundEmails":["n@b.c"],"forgottenUserIds":["f"],"conflictEmails":null},
	 "invalidEmails":["A@B.c","d@b.c","D@b.c"],"invalidUserIds":["u","U","u"],"unknown":[1]}`))
	want := Result{SuccessCount: 2, FailCount: 3, CreatedFields: []string{"plan"}, FilteredOutFields: []string{"x"}, Failed: Failed{
		InvalidEmails: []string{"a@b.c", "d@b.c"}, InvalidUserIDs: []string{"u", "U"},
		NotFoundEmails: []string{"n@b.c"}, ForgottenUserIDs: []string{"f"},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestDecodeLists(t *testing.T) {
	for in, ok := range map[string]bool{
		`{"lists":[]}`: true,
		`{"lists":[{"id":9007199254740993,"name":"a"}]}`: true,
		`{"lists":[{"id":1,"createdAt":"yesterday"}]}`:   true,
		`{"lists":[{"name":"a"}]}`:                       false,
		`{"lists":null}`:                                 false,
		`{}`:                                             false,
		`[]`:                                             false,
		`{"lists":[{"id":1.5}]}`:                         false,
		`{"lists":[{"id":1}]}{}`:                         false,
	} {
		if lists, err := decodeLists([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: %v, %v", in, lists, err)
		}
	}
}

func TestDecodeSize(t *testing.T) {
	for in, want := range map[string]int64{"48213": 48213, " 0\n": 0, "": -1, "-1": -1, "1e3": -1, "12 34": -1, "<html>": -1, "99999999999999999999": -1} {
		n, err := decodeSize([]byte(in))
		if err != nil {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	for _, seed := range append(hostile,
		`{"successCount":1,"failCount":1,"failedUpdates":{"invalidEmails":["ann@example.com"]},"invalidEmails":["ann@example.com"]}`,
		`{"lists":[{"id":1,"name":"a","createdAt":1}]}`, `{"listId":1}`, `{"fields":{"a":"b"}}`, `12`,
		strings.Repeat(`{"params":`, 10001)+`1`+strings.Repeat(`}`, 10001)) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeResult(data)
		if err == nil && (r.SuccessCount < 0 || r.FailCount < 0) {
			t.Errorf("counts %d, %d", r.SuccessCount, r.FailCount)
		}
		if len(data) > 8 && err != nil && strings.Contains(err.Error(), string(data)) {
			t.Errorf("%q repeats the answer", err)
		}
		if lists, err := decodeLists(data); err == nil && lists == nil {
			t.Error("lists without an error or lists")
		}
		if fields, err := decodeFields(data); err == nil && fields == nil {
			t.Error("fields without an error or fields")
		}
		if n, err := decodeSize(data); err == nil && n < 0 {
			t.Errorf("size %d", n)
		}
		if code := codeOf(data); code != "" && code != otherCode && !codes[code] {
			t.Errorf("code %q", code)
		}
		_, _ = decodeCreated(data)
	})
}

// canned answers every request in the same way.
type canned struct {
	status         int
	body, encoding string
	retryAfter     string
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{"Retry-After": {c.retryAfter}, "Content-Encoding": {c.encoding}, "Location": {c.body}}
	return &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

// FuzzResponses answers every kind of call. The result must be a value, or an *Error of a known
// class that contains no part of the answer.
func FuzzResponses(f *testing.F) {
	for i, status := range []int{200, 201, 204, 301, 400, 401, 404, 413, 429, 500, 503, 999} {
		f.Add(status, hostile[i%len(hostile)], "", "7")
		f.Add(status, `{"code":"BatchTooLarge","msg":"ann@example.com"}`, "gzip", "Fri, 01 Jan 2100 00:00:00 GMT")
		f.Add(status, `{"successCount":1,"failCount":0}`, "", "-1e9")
	}
	f.Fuzz(func(t *testing.T, status int, body, encoding, after string) {
		c, err := New(Options{BaseURL: "http://sandbox.test", Key: func() (string, error) { return testKey, nil }, HTTP: &http.Client{Transport: canned{status, body, encoding, after}}})
		if err != nil {
			t.Fatal(err)
		}
		_, subscribe := c.Subscribe(t.Context(), []byte(`{}`))
		_, create := c.CreateList(t.Context(), "n", "")
		for _, err := range []error{subscribe, create, c.DeleteList(t.Context(), 1)} {
			var e *Error
			switch {
			case err == nil && (status < 200 || status > 299):
				t.Errorf("HTTP %d is a success", status)
			case err == nil:
			case !errors.As(err, &e), advice[e.Class] == "", e.RetryAfter < 0, e.RetryAfter > maxRetryAfter:
				t.Errorf("%T: %v", err, err)
			case len(body) > 12 && strings.Contains(err.Error(), body):
				t.Errorf("%q repeats the answer", err)
			}
		}
	})
}
