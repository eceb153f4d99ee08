// Package config reads connections.yaml and exports.yaml.
//
// A file is parsed as YAML, validated against its JSON Schema in package schemas, decoded,
// and checked for what a schema can't express. Each stage reports all problems that it finds,
// with line, column and the nearest valid spelling; the next stage runs only if there are
// none. A file with a problem is not used.
//
// API keys do not belong in these files. If one is there by mistake, no message repeats it:
// text that may be a key is never quoted.
//
// The kept libraries are goccy/go-yaml and santhosh-tekuri/jsonschema. Their messages are
// translated, because they name neither the position of a JSON Schema error nor a spelling,
// and may quote a key.
package config
