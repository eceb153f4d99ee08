// Package arrowfile reads Arrow IPC files and streams as record batches of some of
// their columns.
//
// Arrow v15's own reader was tried and does not suffice. It reads all columns of a record
// batch at once, whatever their size, and trusts their offsets. It can't read files with
// the schema only in the footer (Arrow for JavaScript), and rejects a file for the type of
// any column. Arrow v18.8.0 reads these files, but whole record batches too: a small file with a
// dictionary in every column took more than 2 GB. So this package reads the schema, and finds, checks and decompresses the
// buffers, a slice at a time.
//
//	file.go      the metadata of a file or a stream; message.go their flatbuffers
//	schema.go    the tree of columns and how each type is stored in a record batch
//	read.go      record batches and dictionaries
//	column.go    rows of a column from its buffers; views.go views, list views and runs
//	buffer.go    any part of a buffer, decompressed
package arrowfile
