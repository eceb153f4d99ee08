// Package delta finds the files that make up a version of a Delta Lake table, by
// its log: which files it has, the values of their partitions, the rows that are
// deleted in them, and the names of their columns.
//
// The format is that of delta-io/delta's PROTOCOL.md. What was tried: delta-go
// (rivian) reads tables only into Arrow versions of its own and knows neither
// deletion vectors nor version-2 checkpoints; delta-rs and delta-kernel are not in Go.
//
// A reader may leave _last_checkpoint and compacted commits alone, as this one
// does: the listing of the log, which is needed for its commits anyway, has all
// checkpoints.
//
//	log.go         the commits and the checkpoint of a version, replayed
//	checkpoint.go  checkpoints: classic, in parts, version 2 with sidecars
//	schema.go      columns and column mapping; values of partitions
//	vector.go      deletion vectors
package delta
