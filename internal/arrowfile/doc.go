// Package arrowfile reads Arrow IPC files and streams as record batches of some of
// their columns.
//
// What was tried and why it did not serve: Arrow v15's own reader reads all columns
// of a record batch at once, however large, trusts the offsets in it, does not take
// files whose schema stands in the footer alone (Arrow for JavaScript), and refuses a
// file for the type of any column. So the schema is read, and buffers are found,
// checked and decompressed here, a slice at a time.
//
//	file.go      what describes a file or a stream; message.go its flatbuffers
//	schema.go    the tree of columns and how each type lies in a record batch
//	read.go      record batches and dictionaries
//	column.go    rows of a column from its buffers; views.go those out of order
//	buffer.go    any part of a buffer, decompressed
package arrowfile
