// Package config reads connections.yaml and exports.yaml.
//
// A file is parsed as YAML with positions, checked against its JSON Schema (in
// package schemas), decoded into the types of package schemas, and then checked
// for what a schema can't say. Everything that is wrong with a file is reported
// at once, each problem with its line and column, in words, and with the nearest
// valid spelling. A file that has a problem is not used.
//
// API keys never stand in these files. Where somebody puts one there by
// mistake, no message repeats it: text that may be a key is never quoted.
package config
