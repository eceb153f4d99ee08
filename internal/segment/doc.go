// Package segment reads segments as record batches of the mapped columns. A segment's
// files are Parquet files, Arrow IPC files (Feather v2) and Arrow IPC streams, recognized
// by their content.
//
// Inspect reads the footers of a segment's files, finds the mapped columns and counts the
// rows. Segment.Read then returns the rows in batches of some thousand, files by name and
// rows in their order. Its memory is bounded for files, row groups and record batches of
// any size.
//
//	inspect.go            a segment's files, their footers, the fingerprint
//	format.go             which package reads a file: parquetfile or arrowfile
//	columns.go, types.go  from names in a mapping to columns of a file
//	reader.go             the rows: files in turn, batches read ahead
//	condition.go          which rows match, and what need not be read for that
//	order.go              which of several rows is newer
//	strings.go            bytes of a text column without allocation
package segment
