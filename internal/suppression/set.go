// Package suppression holds the hashes of people that must never be sent: a suppression list.
// It keeps hashes only, in sorted blocks, at 16 bytes each, up to a quarter more for room to grow,
// and 1 to 2 bytes for a filter.
package suppression

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"
)

// Hash is the first half of the SHA-256 of what identifies a person. Two of 100 million people
// share one by chance in 1 of 10^22 lists.
type Hash [16]byte

// Compare orders hashes by their bytes.
func (h Hash) Compare(o Hash) int {
	a, b := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(o[:])
	if a == b {
		a, b = binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(o[8:])
	}
	return cmp.Compare(a, b)
}

// Address returns the hash of an address: of its SHA-256, trimmed and in lower case, as
// advertising platforms and Iterable hash addresses.
func Address(address []byte) Hash {
	address = bytes.TrimSpace(address)
	for _, c := range address {
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			address = bytes.ToLower(address) // which always copies
			break
		}
	}
	sum := sha256.Sum256(address)
	return Hash(sum[:len(Hash{})])
}

// UserID returns the hash of a user ID, which is compared exactly as it is.
func UserID(id []byte) Hash {
	sum := sha256.Sum256(id)
	return Hash(sum[:len(Hash{})])
}

// errNoSum is the error of a value that is not a SHA-256.
var errNoSum = errors.New("not a SHA-256: it needs 64 hexadecimal digits, or 32 bytes")

// Sum returns the hash with a whole SHA-256, in hexadecimal or as its 32 bytes.
func Sum(value []byte) (h Hash, err error) {
	var sum [sha256.Size]byte
	if len(value) == len(sum) {
		if _, err := hex.Decode(sum[:], value); err == nil {
			return h, errNoSum // 32 digits are another hash, such as MD5
		}
		return Hash(value[:len(h)]), nil
	}
	value = bytes.TrimSpace(value)
	if len(value) != hex.EncodedLen(len(sum)) {
		return h, errNoSum
	}
	if _, err := hex.Decode(sum[:], value); err != nil {
		return h, errNoSum
	}
	return Hash(sum[:len(h)]), nil
}

// maxPeople is the most hashes of a Set: 1.6 GB.
const maxPeople = 100_000_000

// ErrTooMany is the error of more than maxPeople hashes.
var ErrTooMany = fmt.Errorf("the suppression lists of a connection have more than %d entries", maxPeople)

// blocks is how many blocks a set has. A block of the largest set has 24,000 hashes, so that
// its growth copies little.
const blocks = 1 << 12

// Set is a set of hashes. Add fills it, and Seal ends that; then it may be read by several
// goroutines. A nil Set is empty.
type Set struct {
	blocks [][]Hash // nil until there is a hash: they are many for a small set
	n      int
	// filter is a Bloom filter of words, at least 8 bits for each hash. The bits of a hash are in
	// one word, so that one look at the memory answers for 96 % or more of the hashes that the
	// set lacks, in a fifth of the time of a search (BenchmarkHas).
	filter []uint64 // their number is a power of 2
}

// Add adds a hash.
func (s *Set) Add(h Hash) error {
	if s.n >= maxPeople {
		return ErrTooMany
	}
	s.grow()
	b := h.block()
	s.blocks[b] = append(s.blocks[b], h)
	s.n++
	s.filter = nil
	return nil
}

// grow makes the blocks of an empty set.
func (s *Set) grow() {
	if s.blocks == nil {
		s.blocks = make([][]Hash, blocks)
	}
}

// bits returns the word of a hash in a filter, and its bits there. They depend on parts of the hash
// that block does not use.
func (h Hash) bits(filter []uint64) (word int, bits uint64) {
	x := binary.LittleEndian.Uint64(h[8:])
	return int(x & uint64(len(filter)-1)), 1<<(x>>58) | 1<<(x>>52&63) | 1<<(x>>46&63)
}

func (h Hash) block() int { return int(h[0])<<4 | int(h[1])>>4 }

// Seal sorts the hashes, unless that was done.
func (s *Set) Seal() {
	if s.filter != nil || s.n == 0 {
		return
	}
	const sorters = 4
	var wg sync.WaitGroup
	counts := [sorters]int{}
	for w := range sorters {
		wg.Go(func() {
			for b := w; b < blocks; b += sorters {
				slices.SortFunc(s.blocks[b], Hash.Compare)
				s.blocks[b] = slices.Compact(s.blocks[b])
				counts[w] += len(s.blocks[b])
			}
		})
	}
	wg.Wait()
	s.n = 0
	for _, n := range counts {
		s.n += n
	}
	s.filter = make([]uint64, 1<<bits.Len(uint(s.n/8)))
	for _, block := range s.blocks {
		for _, h := range block {
			word, bits := h.bits(s.filter)
			s.filter[word] |= bits
		}
	}
}

// Len returns the number of hashes: after Seal, of different ones.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Has reports whether the sealed set has a hash.
func (s *Set) Has(h Hash) bool {
	return s.Len() > 0 && s.mayHave(h) && s.has(h)
}

// Find reports whether the sealed set has each of some hashes. It uses the memory of found. The
// processor waits for several parts of the filter at a time, if it does nothing else between them.
func (s *Set) Find(hashes []Hash, found []bool) []bool {
	found = found[:0]
	for _, h := range hashes {
		found = append(found, s.Len() > 0 && s.mayHave(h))
	}
	for i, h := range hashes {
		found[i] = found[i] && s.has(h)
	}
	return found
}

// mayHave reports whether the filter has a hash.
func (s *Set) mayHave(h Hash) bool {
	word, bits := h.bits(s.filter)
	return s.filter[word]&bits == bits
}

// has searches the block of a hash.
func (s *Set) has(h Hash) bool {
	_, found := slices.BinarySearchFunc(s.blocks[h.block()], h, Hash.Compare)
	return found
}
