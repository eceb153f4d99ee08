// Package snapshot stores what the last successful run left in a list, and compares it with
// a new version of the segment.
//
// A snapshot is an Arrow IPC file with the columns of schemas.SnapshotSchema, a
// row for each member that a run of this export put on the list, in strictly
// ascending order of key, and a table of contents that holds a Header and a
// checksum of every part of the file. Each byte is compared with its checksum
// before Arrow reads it, so a damaged or truncated file is detected before it can cause a
// removal.
//
// An entry holds only what Iterable has acknowledged. Its hash is of values that Iterable
// accepted for this member. If the last answer is missing or was a refusal, the hash is
// Unknown, and the member is sent again. A profile whose addition got no answer is
// Unconfirmed: it does not count as a member, and is removed only if it is suppressed.
//
// It has two users. Staging makes a Differ, adds the segment's valid rows in source order,
// and gets a Verdict on each, and then the members that vanished. After the upload,
// committing makes an Update from the staged files and Iterable's refusals, and publishes
// the next snapshot.
//
// The Differ holds all profiles in memory, at up to 45 bytes each and at most MaxProfiles;
// an Update sorts with a few megabytes and temporary files.
//
// The checksums protect against accidents, not against forgery: anyone who can write to the
// data root can write a snapshot.
package snapshot

import (
	"bytes"
	"encoding/binary"
)

// Key is the 128-bit hash of a profile's identifier. Keys should be evenly spread; they are
// ordered as bytes.
type Key [16]byte

func (k Key) compare(o Key) int { return bytes.Compare(k[:], o[:]) }

func (k *Key) halves() (hi, lo uint64) {
	return binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
}

func keyOf(hi, lo uint64) (k Key) {
	binary.BigEndian.PutUint64(k[:8], hi)
	binary.BigEndian.PutUint64(k[8:], lo)
	return k
}

// Values of Member.Fields that are no hashes; the hash function never returns them.
const (
	// Unknown: the member is on the list, and which values Iterable holds is not known.
	Unknown uint64 = iota
	// Unconfirmed: a request without an answer may have added the member.
	Unconfirmed
	// Reserved is the number of such values.
	Reserved
)

// Member is a profile that a run added to the list.
type Member struct {
	Key Key
	// Fields is the hash of the values that Iterable has acknowledged, or Unknown or
	// Unconfirmed.
	Fields uint64
	// Email and UserID identify the profile; one of them may be empty. If a Member is passed
	// to a function, they are valid until it returns.
	Email, UserID []byte
}

// Profile is a valid row of a segment.
type Profile struct {
	Member
	// DataFields is one JSON object, nil where no field is mapped.
	DataFields []byte
	// File is an index into the segment's sorted files, Row the number of the
	// row in it, from 0.
	File int32
	Row  int64
}
