package iterable

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"iterable-segment-export/schemas"
)

// project is a tiny stand-in for a project's lists.
type project struct {
	mu    sync.Mutex
	lists map[int64]string
	next  int64
	// create and remove override the answers, 0 is the real one. With lost, the
	// list is made but its answer is not sent.
	create, remove int
	lost           bool
	gone           bool // the lists that are to be deleted
	unknown        int  // how often a list is not known when it is to be deleted
}

func (p *project) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/api/lists":
		var all []string
		for id, name := range p.lists {
			all = append(all, fmt.Sprintf(`{"id":%d,"name":%q,"listType":"Standard"}`, id, name))
		}
		fmt.Fprintf(w, `{"lists":[%s]}`, strings.Join(all, ","))
	case r.Method == http.MethodGet:
		io.WriteString(w, `{"fields":{"a":"string","b":"long"}}`)
	case r.Method == http.MethodPost:
		if p.create != 0 {
			w.WriteHeader(p.create)
			return
		}
		var body struct{ Name string }
		json.NewDecoder(r.Body).Decode(&body)
		p.next++
		p.lists[p.next] = body.Name
		if p.lost {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, `{"listId":%d}`, p.next)
	case r.Method == http.MethodDelete:
		if p.remove != 0 {
			w.WriteHeader(p.remove)
			return
		}
		if p.gone {
			clear(p.lists)
			p.lists[1] = "spring"
			w.WriteHeader(404)
			return
		}
		var id int64
		fmt.Sscanf(r.URL.Path, "/api/lists/%d", &id)
		if p.unknown--; p.unknown >= 0 {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"msg":"error.lists.invalidListId(%d)","code":"Success"}`, id)
			return
		}
		delete(p.lists, id)
		io.WriteString(w, `{"code":"Success"}`)
	}
}

func TestCheckKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    *project
		want Class
		left int
	}{
		{name: "good key", p: &project{}},
		{name: "read-only key", p: &project{create: 403}, want: Forbidden},
		{name: "creating fails", p: &project{create: 500}, want: Transient},
		{name: "answer lost", p: &project{lost: true}, want: Transient},
		{name: "deleting fails", p: &project{remove: 500}, want: Transient, left: 1},
		{name: "somebody else deleted it", p: &project{gone: true}},
		{name: "the list is not known yet", p: &project{unknown: 3}},
		{name: "the list is never known", p: &project{unknown: 100}, want: UnknownList, left: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.p
			p.lists, p.next = map[int64]string{1: "spring"}, 1
			c, _ := serve(t, p.ServeHTTP)
			check, err := c.CheckKey(t.Context())
			if ClassOf(err) != tt.want || tt.want == "" && err != nil {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err == nil && check != (KeyCheck{Lists: 1, Fields: 2}) {
				t.Errorf("found %+v", check)
			}
			if len(p.lists) != 1+tt.left {
				t.Errorf("left behind: %v", p.lists)
			}
		})
	}
}

func TestCheckKeyTellsWrongRegionFromWrongKey(t *testing.T) {
	for _, tt := range []struct {
		other int
		want  Class
		typ   schemas.ErrorType
	}{
		{200, WrongRegion, schemas.ErrorWrongRegion},
		{403, WrongRegion, schemas.ErrorWrongRegion},
		{401, KeyRejected, schemas.ErrorKeyRejected},
		{500, KeyRejected, schemas.ErrorKeyRejected},
		{0, KeyRejected, schemas.ErrorKeyRejected},
	} {
		var asked atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Method != http.MethodGet {
				t.Errorf("the other host got %s", r.Method)
			}
			w.WriteHeader(tt.other)
			io.WriteString(w, `{"lists":[]}`)
		}))
		defer other.Close()
		here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			io.WriteString(w, `{"msg":"Invalid API key","code":"BadApiKey"}`)
		}))
		o := Options{OtherURL: other.URL}
		if tt.other == 0 {
			o = Options{}
		}
		_, err := clientOf(t, here, o).CheckKey(t.Context())
		if ClassOf(err) != tt.want {
			t.Errorf("other host says %d: got %v, want %s", tt.other, err, tt.want)
		}
		if e := new(Error); !asError(err, &e) || e.Type() != tt.typ {
			t.Errorf("other host says %d: type of %v", tt.other, err)
		}
		if tt.other == 0 && asked.Load() != 0 {
			t.Error("a host was asked that the options do not name")
		}
	}
}
