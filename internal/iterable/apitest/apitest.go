// Package apitest checks requests and answers against Iterable's own OpenAPI document, for
// tests. The document is not part of the repository but in a folder beside it. Without it,
// nothing is checked.
package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"iterable-segment-export/internal/iterable/api"
)

// document is the path of the OpenAPI document, from the repository's root.
const document = "../shared/iterable-openapi.json"

// Contract is the parsed document. It is safe for concurrent use.
type Contract struct {
	paths map[string]map[string]operation

	mu       sync.Mutex // guards the schemas, which compile lazily
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

type operation struct {
	Description string              `json:"description"`
	Parameters  []parameter         `json:"parameters"`
	Responses   map[string]response `json:"responses"`
}

type parameter struct {
	Name     string          `json:"name"`
	In       string          `json:"in"`
	Required bool            `json:"required"`
	Type     string          `json:"type"`
	Schema   json.RawMessage `json:"schema"`
}

type response struct {
	Schema json.RawMessage `json:"schema"`
}

// Open reads the document. Its error is fs.ErrNotExist if the document is missing.
func Open() (*Contract, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil, errors.New("no go.mod above the test")
		}
		dir = up
	}
	data, err := os.ReadFile(filepath.Join(dir, document))
	if err != nil {
		return nil, err
	}
	var doc struct {
		Paths       map[string]map[string]operation `json:"paths"`
		Definitions map[string]any                  `json:"definitions"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", document, err)
	}
	c := &Contract{paths: doc.Paths, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	for _, d := range doc.Definitions {
		strict(d)
	}
	return c, c.compiler.AddResource("doc.json", map[string]any{"definitions": doc.Definitions})
}

// strict makes a definition reject unknown properties, and allow null for params, where the
// service sends it.
func strict(definition any) {
	d, ok := definition.(map[string]any)
	if !ok {
		return
	}
	properties, ok := d["properties"].(map[string]any)
	if !ok {
		return
	}
	d["additionalProperties"] = false
	if p, ok := properties["params"].(map[string]any); ok {
		p["type"] = []any{"object", "null"}
	}
}

// Request returns an error if a request does not conform to the document.
func (c *Contract) Request(e api.Endpoint, r *http.Request, body []byte) error {
	op, ok := c.paths[e.Path][strings.ToLower(e.Method)]
	if !ok {
		return fmt.Errorf("%s %s is not in the document", r.Method, r.URL.Path)
	}
	var problems []error
	query := r.URL.Query()
	known := map[string]bool{}
	for _, p := range op.Parameters {
		values := query[p.Name]
		switch {
		case p.In == "body":
			problems = append(problems, c.json(p.Schema, body))
			continue
		case p.In == "path":
			values = []string{r.PathValue(p.Name)}
		}
		known[p.Name] = true
		if p.Required && len(values) == 0 {
			problems = append(problems, fmt.Errorf("the parameter %s is missing", p.Name))
		}
		for _, v := range values {
			if _, err := strconv.ParseInt(v, 10, 64); p.Type == "integer" && err != nil {
				problems = append(problems, fmt.Errorf("the parameter %s is not an integer", p.Name))
			}
		}
	}
	for name := range query {
		if !known[name] {
			problems = append(problems, fmt.Errorf("the document has no parameter %s", name))
		}
	}
	if len(body) > 0 && !slices.ContainsFunc(op.Parameters, func(p parameter) bool { return p.In == "body" }) {
		problems = append(problems, errors.New("the document has no body"))
	}
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		problems = append(problems, fmt.Errorf("content type %q", r.Header.Get("Content-Type")))
	}
	problems = append(problems, oneIdentifier(e, body))
	return errors.Join(problems...)
}

// oneIdentifier checks what the document only describes in a sentence: a subscriber has either
// an email or a userId.
func oneIdentifier(e api.Endpoint, body []byte) error {
	if e != api.Subscribe && e != api.Unsubscribe {
		return nil
	}
	var in struct {
		Subscribers []struct{ Email, UserID *string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	for i, s := range in.Subscribers {
		if (s.Email == nil) == (s.UserID == nil) {
			return fmt.Errorf("subscriber %d has not exactly one of email and userId", i)
		}
	}
	return nil
}

// undocumented are statuses that production clients have received and the document lacks.
var undocumented = []int{http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests}

// Answer returns an error if an answer does not conform to the document.
func (c *Contract) Answer(e api.Endpoint, status int, contentType string, body []byte) error {
	op, ok := c.paths[e.Path][strings.ToLower(e.Method)]
	if !ok {
		return fmt.Errorf("%s is not in the document", e)
	}
	r, ok := op.Responses[strconv.Itoa(status)]
	if !ok && !slices.Contains(undocumented, status) {
		return fmt.Errorf("%s: status %d is not in the document", e, status)
	}
	switch {
	case status != http.StatusOK && contentType == "text/plain":
		return nil
	case status != http.StatusOK:
		return c.json([]byte(`{"$ref":"#/definitions/IterableApiResponse"}`), body)
	case bytes.Contains(r.Schema, []byte(`"$ref"`)):
		return c.json(r.Schema, body)
	case strings.HasPrefix(contentType, "text/plain"): // a schema of type string
		return nil
	}
	return fmt.Errorf("%s: content type %q", e, contentType)
}

// json checks a body against a schema of the document.
func (c *Contract) json(schema json.RawMessage, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.schemas[string(schema)]
	if s == nil {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.ReplaceAll(schema, []byte("#/definitions"), []byte("doc.json#/definitions"))))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("body%d.json", len(c.schemas))
		if err := c.compiler.AddResource(name, v); err != nil {
			return err
		}
		if s, err = c.compiler.Compile(name); err != nil {
			return err
		}
		c.schemas[string(schema)] = s
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}
