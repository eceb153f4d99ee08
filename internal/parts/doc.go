// Package parts keeps the rows of a segment that has several lists, divided by list, in one file
// of the data root. The segment's source is read once, and each list is then staged from its part
// of the file.
//
// Two other designs were looked at. Staging all lists at the same time needs a comparison, a
// snapshot, and several staged files for each list in memory, and a list that has to be staged
// again would read the source again. A file for each list needs an upload to the bucket for each
// of them at the same time, with a buffer of some megabytes. With one file, memory is bounded
// whatever the number of lists, and each list keeps its own snapshot, guardrails, lease and
// report, as the list of any other segment.
//
// If rows have two identifying columns and the connection has suppression lists, those columns of all
// rows are read before a list is staged, since another row of a person may have the identifier that
// is suppressed. A worker reads them once for the lists that it stages at the same time.
//
// A file is a sequence of blocks. A block is an Arrow IPC stream with rows of one part, followed
// by the next block. The Index, which is kept beside the file, has the place of each block and its
// checksum.
//
//	writer.go   collects rows by part, and writes them in blocks
//	gather.go   some rows of a column
//	reader.go   the rows of one part, as a segment
package parts
