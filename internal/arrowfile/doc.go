// Package arrowfile reads Arrow IPC files and streams as record batches of some of
// their columns.
//
// What was tried and why it did not serve: Arrow v15's own reader reads all columns
// of a record batch at once, however large, trusts the offsets in it, and does not
// take files whose schema stands in the footer alone (Arrow for JavaScript). So
// buffers are found, checked and decompressed here, a slice at a time; Arrow parses
// the schema.
//
//	file.go      what describes a file or a stream; message.go its flatbuffers
//	read.go      its record batches; layout.go finds their buffers
//	buffer.go    a buffer from its beginning to its end; codec.go decompresses
//	load.go      columns from buffers; nested.go those with children
//	types.go     how types are loaded; views.go views, run ends, UUIDs
package arrowfile
