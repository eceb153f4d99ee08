// Package segment reads segments: Parquet files, Arrow IPC files (Feather v2)
// and Arrow IPC streams, told apart by their content, as record batches of the
// mapped columns.
//
// Inspect reads the footers of a segment's files, finds the mapped columns and
// says how much there is. Segment.Read then gives the rows, files by name, rows
// in their order, in batches of some thousand, with bounded memory whatever the
// size of a file, a row group or a record batch.
//
// Files come from outside and may be damaged or hostile. Sizes that a file
// claims are held against the file before memory is taken for them, rows are
// counted, a panic anywhere below becomes an error, and every error is an
// *Error that says which file, which column and what to do.
//
// The package hides the Arrow library: what its version 15 can't do, or does
// wrong, is dealt with here.
//
//	inspect.go            a segment's files, their footers, the fingerprint
//	columns.go, types.go  from names in a mapping to columns of a file
//	reader.go             the rows: files in turn, one batch read ahead
//	parquet*.go           Parquet; thrift.go and pages.go check it first
//	ipc*.go               Arrow IPC, read buffer by buffer, in slices
//	strings.go            bytes of a text column without allocation
package segment
