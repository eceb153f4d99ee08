// Package storage reads and writes the two places that a run touches: the data
// root, where the program keeps its own files, and the sources, where segments
// lie. Both are named by a plain path or a URL.
//
// A Root is the data root, a bucket of gocloud.dev/blob. A driver for another
// scheme than file:// is added by importing it in the program's main package.
//
// List finds the files of a source and OpenSource opens one of them; Within and
// WithinObject tell whether a source lies where the worker's configuration
// allows. A caller that must not read outside of the allowed prefixes checks
// Within before List, and WithinObject on each object that List found.
package storage

import "io"

// File is an open file that can be read at any offset, by several goroutines
// at once.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is the file's size in bytes when it was opened.
	Size() int64
}
