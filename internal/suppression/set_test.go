package suppression

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestSet(t *testing.T) {
	var s Set
	for i := range 20_000 {
		if err := s.Add(Address(fmt.Appendf(nil, "p%d@example.com", i%10_000))); err != nil {
			t.Fatal(err)
		}
	}
	s.Seal()
	if s.Len() != 10_000 {
		t.Errorf("%d hashes of 10,000 addresses, each added twice", s.Len())
	}
	for i := range 20_000 {
		if has := s.Has(Address(fmt.Appendf(nil, " P%d@Example.com ", i))); has != (i < 10_000) {
			t.Fatalf("address %d: %t", i, has)
		}
	}
	var all []Hash
	for i := range 20_000 {
		all = append(all, Address(fmt.Appendf(nil, "p%d@example.com", i)))
	}
	for i, has := range s.Find(all, nil) {
		if has != (i < 10_000) {
			t.Fatalf("address %d of all: %t", i, has)
		}
	}
	if found := s.Find(nil, make([]bool, 1)); len(found) != 0 {
		t.Errorf("of no hash: %v", found)
	}
	var none *Set
	if found := none.Find(all[:2], nil); found[0] || found[1] {
		t.Error("no set has a hash")
	}
	if none.Has(Hash{}) || none.Len() != 0 || new(Set).Has(Hash{}) {
		t.Error("an empty set has a hash")
	}
}

// TestUserIDsAreExact: user IDs that differ only in case are two people.
func TestUserIDsAreExact(t *testing.T) {
	if UserID([]byte("a1")) == UserID([]byte("A1")) || UserID([]byte("a1")) == UserID([]byte(" a1")) {
		t.Error("two user IDs have one hash")
	}
}

func TestSum(t *testing.T) {
	whole := sha256.Sum256([]byte("ann@example.com"))
	want := Address([]byte("ann@example.com"))
	for _, ok := range []string{fmt.Sprintf("%x", whole), fmt.Sprintf("%X", whole), fmt.Sprintf(" %x\n", whole), string(whole[:])} {
		if h, err := Sum([]byte(ok)); err != nil || h != want {
			t.Errorf("%q: %x, %v", ok, h, err)
		}
	}
	for _, bad := range []string{"", "ann@example.com", fmt.Sprintf("%x", whole[:16]), strings.Repeat("x", 64)} {
		if _, err := Sum([]byte(bad)); !errors.Is(err, errNoSum) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// documented is how many bytes of memory docs/suppression.md promises for each hash.
const documented = 21

// TestLargeSet: a large set needs no more memory than is documented, sealed and while it is filled.
// It has a million hashes, or SUPPRESSED of them, and reports the time too.
func TestLargeSet(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("SUPPRESSED"))
	if err != nil {
		n = 1_000_000
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	s := new(Set)
	hash := func(i int) Hash {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(i))
		return UserID(b[:])
	}
	for i := range n {
		if err := s.Add(hash(i)); err != nil {
			t.Fatal(err)
		}
	}
	added := time.Since(began)
	s.Seal()
	sealed := time.Since(began) - added
	runtime.GC()
	runtime.ReadMemStats(&after)
	began = time.Now()
	const looked = 100_000
	found := 0
	for i := range looked {
		if s.Has(hash(n - looked/2 + i)) {
			found++
		}
	}
	took := time.Since(began)
	if found != looked/2 {
		t.Errorf("%d found", found)
	}
	each := float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
	if each > documented*1.1 { // small blocks have more room to grow, and the blocks themselves count
		t.Errorf("%.1f bytes for each of %d hashes; documented are %d", each, n, documented)
	}
	t.Logf("%d hashes: %.1f bytes each, %d MB from the system at the peak; added in %s, sorted in %s; %d ns to hash and look one up",
		s.Len(), each, after.Sys>>20, added.Round(time.Millisecond), sealed.Round(time.Millisecond), took.Nanoseconds()/looked)
}

// TestUnevenSets: hashes that a list names itself may be close to each other.
func TestUnevenSets(t *testing.T) {
	for name, at := range map[string]func(i int) Hash{
		"one block":  func(i int) Hash { return Hash{2: byte(i >> 8), 3: byte(i)} },
		"its end":    func(i int) Hash { return Hash{0xff, 0xff, 0xff, 0xff, 14: byte(i >> 8), 15: byte(i)} },
		"few blocks": func(i int) Hash { return Hash{0: byte(i % 3), 6: byte(i >> 8), 7: byte(i)} },
	} {
		var s Set
		for i := 0; i < 2000; i += 2 {
			if err := s.Add(at(i)); err != nil {
				t.Fatal(err)
			}
		}
		s.Seal()
		for i := range 2100 {
			if has := s.Has(at(i)); has != (i < 2000 && i%2 == 0) {
				t.Fatalf("%s, %d: %t", name, i, has)
			}
		}
	}
}

func TestAnEmptySetIsSmall(t *testing.T) {
	set := new(Set)
	if n := unsafe.Sizeof(*set); n > 128 {
		t.Errorf("an empty set takes %d bytes", n)
	}
	if set.Seal(); set.Has(Hash{1}) || len(set.blocks) > 0 {
		t.Error("an empty set has something")
	}
	var kept bytes.Buffer
	if err := set.Write(&kept, Kept{Of: "x"}); err != nil {
		t.Fatal(err)
	}
	if read, _, err := Read(bytes.NewReader(kept.Bytes()), int64(kept.Len()), "x"); err != nil || read.blocks != nil || read.Len() != 0 || read.Has(Hash{1}) {
		t.Errorf("an empty kept list: %v", err)
	}
}
