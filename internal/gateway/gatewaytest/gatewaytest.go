// Package gatewaytest holds a gateway to its OpenAPI description.
package gatewaytest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"iterable-segment-export/schemas"
)

// Held has everything that a handler answers compared with the description: an operation
// that is not in it, or a body that is not as it says, fails the test.
func Held(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.OpenAPI))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tee := &tee{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(tee, r)
		method, path, _ := strings.Cut(r.Pattern, " ")
		kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		if path == "" || !strings.HasPrefix(path, "/v1/") || kind != "application/json" && kind != "application/problem+json" {
			return
		}
		status := fmt.Sprint(tee.status)
		if tee.status >= http.StatusBadRequest {
			status = "default"
		}
		at := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%s/content/%s/schema", escape(path), strings.ToLower(method), status, escape(kind))
		s, err := c.Compile(at)
		if err != nil {
			t.Errorf("the description has no %s answer of %s for %s: %v", status, kind, r.Pattern, err)
			return
		}
		body, err := jsonschema.UnmarshalJSON(bytes.NewReader(tee.body.Bytes()))
		if err == nil {
			err = s.Validate(body)
		}
		if err != nil {
			t.Errorf("%s answers %d with what the description does not say: %v\n%s", r.Pattern, tee.status, err, tee.body.Bytes())
		}
	})
}

// escape makes a key an element of a JSON pointer in a URL's fragment.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B").Replace(key)
}

// tee keeps what is written.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	if kind := t.Header().Get("Content-Type"); strings.HasPrefix(kind, "application/json") || kind == "application/problem+json" {
		t.body.Write(p)
	}
	return t.ResponseWriter.Write(p)
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }
