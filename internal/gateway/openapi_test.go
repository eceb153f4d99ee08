package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iterable-segment-export/internal/reference"
	"iterable-segment-export/schemas"
)

const openAPIFile = "../../schemas/openapi.json"

// TestTheDescriptionIsThatOfTheRoutes compares the OpenAPI description in the file with one
// that is generated from the routes and the types of their bodies. UPDATE_DOCS=1 writes it.
func TestTheDescriptionIsThatOfTheRoutes(t *testing.T) {
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(describe()); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(openAPIFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want.Bytes(), schemas.OpenAPI) {
		t.Error("schemas/openapi.json is stale; update it with: UPDATE_DOCS=1 go test ./internal/gateway")
	}
}

type object = reference.Object

// schemaOf returns the JSON Schema of a type, and adds named structs to types.
func schemaOf(t reflect.Type, types object) object {
	return reference.JSONSchema(t, types, "#/components/schemas/")
}

func describe() object {
	types := object{}
	paths := object{}
	problem := object{"application/problem+json": object{"schema": schemaOf(reflect.TypeFor[Problem](), types)}}
	operation := func(rt route) object {
		kind := rt.kind
		if kind == "" {
			kind = "application/json"
		}
		content := object{kind: object{"schema": schemaOf(reflect.TypeOf(rt.out), types)}}
		op := object{
			"operationId": rt.name, "summary": rt.summary,
			"responses": object{strconv.Itoa(cmp.Or(rt.status, http.StatusOK)): object{"description": "Done", "content": content}, "default": object{"description": "A problem (RFC 9457)", "content": problem}},
		}
		if rt.least != "" {
			op["description"] = "Needs the role " + rt.least + " or a higher one."
			if rt.over {
				op["description"] = "Needs the role " + rt.least + " and the right to use the connection, or a higher role."
			}
			op["security"] = []object{{"token": []string{}}}
		}
		var parameters []object
		_, path, _ := strings.Cut(rt.pattern, " ")
		for element := range strings.SplitSeq(path, "/") {
			if name, ok := strings.CutPrefix(element, "{"); ok {
				parameters = append(parameters, object{"in": "path", "name": strings.TrimSuffix(name, "}"), "required": true, "schema": object{"type": "string"}})
			}
		}
		for in, names := range map[string][]string{"query": rt.query, "header": rt.header} {
			for _, name := range names {
				parameters = append(parameters, object{"in": in, "name": name, "schema": object{"type": "string"}})
			}
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		if rt.in != nil {
			op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(rt.in), types)}}}
		}
		return op
	}
	open := []route{
		{name: "login", pattern: "GET /v1/login", summary: "Where tokens come from", out: Login{}},
		{name: "news", pattern: "POST /v1/events", summary: "An event of S3 through SNS, of Azure Event Grid, or of Google Pub/Sub: something is new where exports read. The sender's own proof takes the place of a token; the answer to a validation event of Event Grid has the status 200", out: News{}, status: http.StatusAccepted},
		{name: "newsHandshake", pattern: "OPTIONS /v1/events", summary: "The handshake of CloudEvents", out: done{}},
		{name: "describe", pattern: "GET /v1/openapi.json", summary: "This description", out: map[string]any{}},
	}
	for _, rt := range append(slices.Clone(open), routes...) {
		method, path, _ := strings.Cut(rt.pattern, " ")
		at, ok := paths[path].(object)
		if !ok {
			at = object{}
			paths[path] = at
		}
		at[strings.ToLower(method)] = operation(rt)
	}
	paths["/v1/events"].(object)["post"].(object)["responses"].(object)["200"] = object{
		"description": "The answer to a validation event", "content": object{"application/json": object{"schema": schemaOf(reflect.TypeFor[Validation](), types)}},
	}
	paths["/v1/exports/{export}/runs"].(object)["post"].(object)["requestBody"] = object{
		"description": "With a signature: the export of the path. With a token: nothing", "content": object{"application/json": object{"schema": schemaOf(reflect.TypeFor[SignedStart](), types)}},
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "iterable-segment-export", "version": "1",
			"description": "Exports of segments to Iterable. Tokens are those of the deployment's OpenID Connect provider."},
		"paths": paths,
		"components": object{
			"schemas":         types,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
		},
	}
}

// TestEveryOperationSaysWhoMay checks that no operation is open by mistake.
func TestEveryOperationSaysWhoMay(t *testing.T) {
	for _, rt := range routes {
		method, _, _ := strings.Cut(rt.pattern, " ")
		if rt.least == "" || rt.least == schemas.RoleViewer && method != "GET" {
			t.Errorf("%s (%s) takes the role %q", rt.name, rt.pattern, rt.least)
		}
	}
}
