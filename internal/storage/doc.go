// Package storage reads the sources of segments, and reads and writes the data
// root, where the program keeps its own files. Both are named by a plain path or a
// URL.
//
// A Root is the data root: a local folder or a bucket of gocloud.dev/blob. The
// drivers are imported in version.go.
//
// List finds the files of a source and OpenSource opens one of them. Within and
// WithinObject check that a source lies where the worker's configuration allows. A
// caller that must not read elsewhere calls Within before List, and WithinObject on
// each object that List found.
package storage

import "io"

// File is an open file that can be read at any offset, by several goroutines
// at once.
type File interface {
	io.ReaderAt
	io.Closer
	// Size returns the file's size in bytes when it was opened.
	Size() int64
}
