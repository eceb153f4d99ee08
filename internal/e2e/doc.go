// Package e2e holds the end-to-end tests: whole runs on an embedded Temporal,
// with real files, a real worker and the Iterable sandbox.
package e2e
