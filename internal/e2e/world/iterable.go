package world

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/iterable/apitest"
	"iterable-segment-export/internal/sandbox"
)

// List returns the sandbox's list of that name.
func (w *World) List(name string) sandbox.ListStats {
	w.T.Helper()
	for _, l := range w.Sandbox.Stats(true).Lists {
		if l.Name == name {
			return l
		}
	}
	w.T.Fatalf("the sandbox has no list %q", name)
	return sandbox.ListStats{}
}

// Members returns the sorted addresses of a list's members.
func (w *World) Members(list string) []string {
	w.T.Helper()
	members, err := w.Sandbox.Members(w.List(list).ID)
	if err != nil {
		w.T.Fatal(err)
	}
	return members
}

// Requests returns the number of the sandbox's requests at an endpoint, without those about a
// list that Iterable does not know yet.
func (w *World) Requests(endpoint string) int64 {
	w.T.Helper()
	if !slices.ContainsFunc(api.Endpoints, func(e api.Endpoint) bool { return e.Name == endpoint }) {
		w.T.Fatalf("there is no endpoint %q", endpoint)
	}
	e := w.Sandbox.Stats(false).Endpoints[endpoint]
	return e.Requests - e.UnknownList
}

// Changes returns the numbers of subscribe and unsubscribe requests.
func (w *World) Changes() [2]int64 {
	return [2]int64{w.Requests("lists/subscribe"), w.Requests("lists/unsubscribe")}
}

// Holds fails the test unless the list has the expected members.
func (w *World) Holds(list string, expected generate.Expected) {
	w.T.Helper()
	if l := w.List(list); l.Digest != expected.Digest {
		w.T.Errorf("%q has %d members, expected %d; the digests differ", list, l.Size, expected.Valid)
	}
}

// Call calls Iterable's API as another client.
func (w *World) Call(method, path, body string) []byte {
	w.T.Helper()
	r, err := http.NewRequestWithContext(w.T.Context(), method, w.URL+path, bytes.NewBufferString(body))
	if err != nil {
		w.T.Fatal(err)
	}
	r.Header.Set("Api-Key", sandbox.DefaultKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.T.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.T.Fatalf("%s %s: HTTP %d, %v", method, path, answer.StatusCode, err)
	}
	return text
}

// Key revokes the sandbox's key, or restores it.
func (w *World) Key(revoked bool) { w.Sandbox.Revoke(sandbox.DefaultKey, revoked) }

// AddList makes a list as another user of Iterable, and returns its ID.
func (w *World) AddList(name, kind string) int64 {
	return w.Sandbox.AddList(api.List{Name: name, ListType: kind})
}

// DeleteList deletes a list as another user of Iterable.
func (w *World) DeleteList(id int64) {
	w.T.Helper()
	w.Call(http.MethodDelete, fmt.Sprint("/api/lists/", id), "")
}

// NewSandbox returns a Checked sandbox. A new list is not known for up to a second, unless the
// test sets another time. Most tests make a list, and with the default of ten seconds the suite
// would take several times as long. TestSmallSegmentsAtTheDocumentedLimits uses the default, and
// TestANewListThatIsNotKnownYet waits for longer.
func NewSandbox(t *testing.T, c sandbox.Config) *sandbox.Server {
	t.Helper()
	if !c.Fast && !c.Exactly {
		c.NewList = cmp.Or(c.NewList, time.Second)
	}
	return sandbox.New(Checked(t, c))
}

// Checked returns the configuration of a sandbox that checks every request, and every answer
// without a fault, against Iterable's OpenAPI document, if that is available.
func Checked(t *testing.T, c sandbox.Config) sandbox.Config {
	t.Helper()
	contract, err := apitest.Open()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Log("Iterable's OpenAPI document is missing: requests and answers are not checked against it")
		return c
	case err != nil:
		t.Fatal(err)
	}
	var over atomic.Bool // a request can outlive the test
	t.Cleanup(func() { over.Store(true) })
	c.Record = func(x sandbox.Exchange) {
		if over.Load() || x.Endpoint.Method == "" {
			return
		}
		// Tests also call the API with other clients.
		if strings.HasPrefix(x.Request.UserAgent(), "iterable-segment-export/") {
			if err := contract.Request(x.Endpoint, x.Request, x.Body); err != nil {
				t.Errorf("a request to %s: %v", x.Endpoint, err)
			}
		}
		if x.Faulty {
			return
		}
		if err := contract.Answer(x.Endpoint, x.Status, x.Type, x.Answer); err != nil {
			t.Errorf("an answer of %s: %v", x.Endpoint, err)
		}
	}
	return c
}
