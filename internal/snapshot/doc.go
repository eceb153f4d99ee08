// Package snapshot knows what the last successful run left in a list, and what
// a new version of the segment changes about it.
//
// A snapshot is an Arrow IPC file with the columns of schemas.SnapshotSchema, a
// row for each member that a run of this export put on the list, in strictly
// ascending order of key, and a table of contents that holds a Header and a
// checksum of every part of the file. Each byte is compared with its checksum
// before Arrow sees it, so a file that was damaged or cut short is noticed before
// anybody is removed because of it.
//
// An entry knows no more than what Iterable has acknowledged. Its hash is that of
// values which Iterable took for this member; where the last answer is missing or was
// a refusal, the hash is Unknown, and the member is sent again. A profile whose
// addition got no answer is Unconfirmed: it is not counted as a member, and never
// removed.
//
// There are two users. Staging makes a Differ, adds the segment's valid rows in
// source order, and gets a Verdict on each and then the members who vanished.
// After the upload, committing makes an Update from the staged files and
// Iterable's refusals, and publishes the next snapshot.
//
// The Differ holds everybody in memory, at up to 45 bytes each and MaxPeople of them; an
// Update sorts with a few megabytes and temporary files.
//
// The checksums guard against accidents, not against forgery: whoever can write
// to the data root can make a snapshot of other people.
package snapshot

import (
	"bytes"
	"encoding/binary"
)

// Key is the 128-bit hash of what identifies a profile. Keys are taken to be
// evenly spread and are ordered as bytes.
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

// Member is a person whom a run put on the list.
type Member struct {
	Key Key
	// Fields is the hash of the values that Iterable has acknowledged, or Unknown or
	// Unconfirmed.
	Fields uint64
	// Email and UserID identify the person; one of them may be empty. Where a
	// Member is handed to a function, they are valid until it returns.
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
