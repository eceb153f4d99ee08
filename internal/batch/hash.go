package batch

import (
	"math/bits"

	"github.com/zeebo/xxh3"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Seeds make hashes of different kinds of data differ. They are part of the snapshot's
// format: with other seeds, every profile counts as changed.
const (
	seedEmail  uint64 = 0x656d61696c_01 // "email", version 1
	seedUserID uint64 = 0x7573657269_01 // "useri", version 1
	seedFields uint64 = 0x6669656c64_01 // "field", version 1
)

// KeyHash returns the 128-bit hash of a profile's identifier in a project of this type: the
// address in an email-based project, the user ID in a userID-based one. In a hybrid project
// it is the user ID, which stays when the address changes, or the address if there is no
// user ID. The address must be normalised.
func KeyHash(email, userID []byte, projectType string) [16]byte {
	byUserID := projectType == schemas.ProjectUserID || projectType == schemas.ProjectHybrid && len(userID) > 0
	if byUserID {
		return xxh3.Hash128Seed(userID, seedUserID).Bytes()
	}
	return xxh3.Hash128Seed(email, seedEmail).Bytes()
}

// AddressKey returns the key by which addresses are compared in hybrid projects.
func AddressKey(email []byte) [16]byte { return KeyHash(email, nil, schemas.ProjectEmail) }

// FieldsHash returns the 64-bit hash of everything that is sent for a profile. If it is the
// same as in the last run, nothing needs to be sent. It includes the address, since with a
// user ID a new address is a change, and the mapping's MappingSeed, since other settings
// change what Iterable does with the fields. It is never below snapshot.Reserved.
func FieldsHash(mapping uint64, email, userID, dataFields []byte) uint64 {
	// Chained seeds instead of a concatenation: nothing is copied, and bytes can't move
	// from one part to the next without changing the hash.
	h := xxh3.HashSeed(email, seedFields^mapping)
	h = xxh3.HashSeed(userID, h)
	return max(xxh3.HashSeed(dataFields, h), snapshot.Reserved)
}

// MappingSeed returns the argument of FieldsHash for a schemas.Export.MappingFingerprint.
func MappingSeed(fingerprint string) uint64 { return xxh3.HashString(fingerprint) }

// InGroup reports whether a profile is in a group: a hash of its KeyHash with the group's salt
// decides.
func InGroup(key [16]byte, g schemas.Group) bool {
	place, _ := bits.Mul64(xxh3.HashSeed(key[:], xxh3.HashString(g.Salt)), schemas.Whole)
	return int(place) >= g.From && int(place) < g.To
}
