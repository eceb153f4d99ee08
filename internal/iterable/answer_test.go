package iterable

import (
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
	if got.Failed.Total() != 6 {
		t.Errorf("total %d, want 6", got.Failed.Total())
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
		if code := decodeCode(data); code != "" && code != otherCode && !codes[code] {
			t.Errorf("code %q", code)
		}
		_, _ = decodeCreated(data)
	})
}
