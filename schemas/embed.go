package schemas

import _ "embed"

// ConnectionsSchema is the JSON Schema (draft 2020-12) of connections.yaml.
//
//go:embed connections.schema.json
var ConnectionsSchema []byte

// ExportsSchema is the JSON Schema (draft 2020-12) of exports.yaml.
//
//go:embed exports.schema.json
var ExportsSchema []byte

// OpenAPI is the description of the gateway's API (OpenAPI 3).
//
//go:embed openapi.json
var OpenAPI []byte

// OutputSchema is the JSON Schema (draft 2020-12) of what the starter prints with -o json and -o yaml, by
// command.
//
//go:embed output.schema.json
var OutputSchema []byte
