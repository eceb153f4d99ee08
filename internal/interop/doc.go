// Package interop has no code, only tests: files of the writers that people use are
// read, and each cell has to have the value that the writer was given.
//
//	go test ./internal/interop                                        # 300 rows a file
//	INTEROP_ROWS=50000 go test -v -timeout 30m ./internal/interop     # and the table of what was read
//
// The writers are installed by npm in the versions of npm/package-lock.json, or are
// Go modules. Without Node the tests of the former are skipped.
package interop
