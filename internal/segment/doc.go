// Package segment reads segments: Parquet files, Arrow IPC files (Feather v2)
// and Arrow IPC streams, told apart by their content, as record batches of the
// mapped columns.
//
// Inspect reads the footers of a segment's files, finds the mapped columns and
// says how much there is. Segment.Read then returns the rows, files by name, rows
// in their order, in batches of some thousand, with bounded memory whatever the
// size of a file, a row group or a record batch.
//
//	inspect.go            a segment's files, their footers, the fingerprint
//	format.go             which package reads a file: parquetfile or arrowfile
//	columns.go, types.go  from names in a mapping to columns of a file
//	reader.go             the rows: files in turn, one batch read ahead
//	condition.go          which rows match, and what need not be read for that
//	order.go              which of several rows is newer
//	strings.go            bytes of a text column without allocation
package segment
