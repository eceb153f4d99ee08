package sandbox

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadBatch checks that the hand-written scanner takes what encoding/json
// takes, and reads the same from it.
func FuzzReadBatch(f *testing.F) {
	for _, seed := range []string{
		`{"listId":1,"subscribers":[{"email":"Ann@example.com","userId":"u\n\ud83d\ude00","dataFields":{"a":1,"b":[true,null,{"c":-1.5e3}]},"preferUserId":true,"mergeNestedObjects":false}],"updateExistingUsersOnly":true}`,
		" {\t\"subscribers\" : [ ] ,\r\n \"listId\" : -7 } ",
		`{"listId":1,"subscribers":[{"email":null,"userId":"x","dataFields":null}]}`,
		`{"listId":1,"subscribers":[{"email":"\ud800"}]}`,
		`{"listId":1,"subscribers":[{"email":"É@x.y","dataFields":{"a" : "2026-01-02 03:04:05 +01:00"}}]}`,
		`{"a":[[[`, `[]`, `0`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want := bytes.Clone(body)
		b, err := readBatch(body, true)
		if err != nil {
			if err.status != 400 || err.Code == "BadJsonBody" && json.Valid(want) && utf8.Valid(want) && bytes.Count(want, []byte("["))+bytes.Count(want, []byte("{")) < maxDepth {
				t.Fatalf("%q is JSON, and not %q", want, err.Msg)
			}
			return
		}
		defer b.release()
		var plain struct {
			ListID      int64
			Subscribers []struct {
				Email, UserID *string
				DataFields    json.RawMessage
			}
		}
		if err := json.Unmarshal(want, &plain); err != nil {
			t.Fatalf("%q is not JSON: %v", want, err)
		}
		if bytes.Count(want, []byte(`"subscribers"`)) != 1 || bytes.Count(want, []byte(`listId`)) != 1 || len(plain.Subscribers) != len(b.rows) {
			return // which of two wins is no matter
		}
		for i, row := range b.rows {
			p := plain.Subscribers[i]
			if p.UserID != nil && !bytes.Contains(want, []byte(`\u`)) && bytes.Count(want, []byte(`userId`)) == 1 && string(row.userID) != *p.UserID {
				t.Fatalf("%q: user id %q", want, row.userID)
			}
			if p.Email != nil && bytes.Count(want, []byte(`email`)) == 1 && string(row.email) != strings.ToLower(*p.Email) {
				t.Fatalf("%q: address %q", want, row.email)
			}
			if row.data != nil && !json.Valid(row.data) {
				t.Fatalf("%q: data %q", want, row.data)
			}
		}
	})
}

func TestDates(t *testing.T) {
	for text, want := range map[string]bool{
		"2026-01-02 03:04:05": true, "2026-01-02 03:04:05 +00:00": true, "2026-01-02 03:04:05 -11:30": true,
		"": false, "2026-01-02": false, "2026-01-02T03:04:05": false, "2026-01-02 03:04:05 00:00": false, "2026-01-02 03:04:05 +0000": false, "2026-01-02 03:04:0x": false,
		"2026-01-02 03:04:05 *00:00": false,
	} {
		if isDate([]byte(text)) != want {
			t.Errorf("%q is a date: %v", text, !want)
		}
	}
}
