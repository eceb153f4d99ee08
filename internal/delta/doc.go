// Package delta reads the log of a Delta Lake table: the files of a version, the values of
// their partitions, their deleted rows, and the names of their columns.
//
// The format is that of delta-io/delta's PROTOCOL.md. delta-go (rivian) was tried and does
// not suffice: it needs other versions of Arrow, and supports neither deletion vectors nor
// version-2 checkpoints. delta-rs and delta-kernel are not written in Go.
//
// Readers may ignore _last_checkpoint and compacted commits, and this one does: the
// listing of the log, which is needed for the commits, includes all checkpoints.
//
//	log.go         the commits and the checkpoint of a version, replayed
//	checkpoint.go  checkpoints: classic, in parts, version 2 with sidecars
//	schema.go      columns and column mapping; values of partitions
//	vector.go      deletion vectors
package delta
