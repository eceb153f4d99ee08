package snapshot

import (
	"math/bits"
	"runtime"
)

// Verdict is what a segment's row means for the list.
type Verdict uint8

// Verdicts.
const (
	// New: the person was not on the list, or not surely.
	New Verdict = iota
	// Changed: on the list, with other fields.
	Changed
	// Unchanged: on the list, with the same fields.
	Unchanged
	// Duplicate: an earlier row named the same person.
	Duplicate
)

func (v Verdict) String() string {
	return [...]string{"new", "changed", "unchanged", "duplicate"}[v&3]
}

// index holds who was on the list and who has been seen in the segment. The
// members lie in one sorted array, found through the leading bits of their key,
// at 25 bytes each; everybody else is in a hash table, at 21 to 32 bytes each.
type index struct {
	shared  uint // how many leading bits all keys have in common
	members []entry
	// starts[b] is the first member whose leading bits are b or more.
	starts []uint32
	bits   uint
	seen   bitmap // of members
	others keySet
	// touched keeps the compiler from leaving the reads of touch out.
	touched uint64
}

type entry struct{ hi, lo, fields uint64 }

// newIndex makes an index with room for that many members. others is how many
// people beside them are expected.
func newIndex(members, others int64, shared uint) *index {
	return &index{
		shared: shared, members: make([]entry, 0, members),
		seen: newBitmap(members), others: newKeySet(others),
	}
}

// load adds a member, in ascending order of key. seal ends the loading.
func (x *index) load(m *Member) {
	hi, lo := m.Key.halves()
	x.members = append(x.members, entry{hi, lo, m.Fields})
}

// membersPerStart is how many members share a slot of starts: a search reads
// two or three cache lines then.
const membersPerStart = 4

func (x *index) seal() {
	n := len(x.members)
	if n == 0 {
		return
	}
	x.bits = uint(bits.Len(uint(n / membersPerStart)))
	x.starts = make([]uint32, 1<<x.bits+1)
	next := 0
	for i := range x.members {
		for b := x.slot(x.members[i].hi); next <= b; next++ {
			x.starts[next] = uint32(i)
		}
	}
	for ; next < len(x.starts); next++ {
		x.starts[next] = uint32(n)
	}
}

func (x *index) slot(hi uint64) int { return int(hi << x.shared >> (64 - x.bits)) }

// find gives the member's number, or -1.
func (x *index) find(hi, lo uint64) int {
	if len(x.starts) == 0 {
		return -1
	}
	b := x.slot(hi)
	from, to := x.starts[b], x.starts[b+1]
	for to-from > 4*membersPerStart { // only where keys are not evenly spread
		mid := from + (to-from)/2
		if e := &x.members[mid]; e.hi > hi || e.hi == hi && e.lo > lo {
			to = mid
		} else {
			from = mid
		}
	}
	for i := from; i < to; i++ {
		if e := &x.members[i]; e.hi == hi && e.lo == lo {
			return int(i)
		}
	}
	return -1
}

// mark notes that the segment has a person.
func (x *index) mark(k *Key, fields uint64) Verdict {
	hi, lo := k.halves()
	i := x.find(hi, lo)
	switch {
	case i < 0 && x.others.add(hi, lo):
		return New
	case i < 0:
		return Duplicate
	case !x.seen.set(int64(i)):
		return Duplicate
	case x.members[i].fields == Unconfirmed:
		return New
	case x.members[i].fields == fields:
		return Unchanged
	default:
		return Changed
	}
}

// group is how many rows are looked up together.
const group = 64

// touch reads what mark will read for each of up to group keys, without waiting
// for one before asking for the next: the processor has several of these reads
// from memory under way at once, and mark then finds all in its cache.
func (x *index) touch(rows []Profile) {
	var at [group]uint32
	sum := uint64(0)
	if len(x.starts) > 0 {
		for i := range rows {
			hi, _ := rows[i].Key.halves()
			at[i] = x.starts[x.slot(hi)]
		}
		last := uint32(len(x.members) - 1)
		for i := range rows {
			sum += x.members[min(at[i], last)].hi
		}
	}
	if len(x.others.slots) > 1<<15 { // beyond half a megabyte
		for i := range rows {
			hi, lo := rows[i].Key.halves()
			sum += x.others.slots[x.others.home(hi, lo)].hi
		}
	}
	x.touched = sum
}

// people is how many the index holds.
func (x *index) people() int64 { return int64(len(x.members)) + x.others.n }

// bitmap is a set of small numbers.
type bitmap []uint64

func newBitmap(n int64) bitmap { return make(bitmap, (n+63)/64) }

// set adds a number and reports whether it was missing.
func (b bitmap) set(i int64) bool {
	w, m := &b[i>>6], uint64(1)<<(i&63)
	missing := *w&m == 0
	*w |= m
	return missing
}

func (b bitmap) has(i int64) bool { return b[i>>6]>>(i&63)&1 != 0 }

// all tells whether the numbers from start to end-1 are in the set.
func (b bitmap) all(start, end int64) bool {
	for i := start; i < end; {
		if i&63 == 0 && end-i >= 64 {
			if b[i>>6] != ^uint64(0) {
				return false
			}
			i += 64
			continue
		}
		if !b.has(i) {
			return false
		}
		i++
	}
	return true
}

// keySet is a hash table of keys with linear probing. An all-zero slot is free;
// the all-zero key has a field of its own.
type keySet struct {
	slots []struct{ hi, lo uint64 }
	n     int64
	grow  int64 // how many keys it takes
	zero  bool
}

func newKeySet(n int64) (s keySet) {
	s.resize(n)
	return s
}

// resize makes empty room for n keys at a load of three quarters.
func (s *keySet) resize(n int64) {
	n = max(n, 48)
	s.slots = make([]struct{ hi, lo uint64 }, n+n/3)
	s.grow = n
}

// home is where a key's search starts. It depends on all bits, so that keys that
// share their first ones spread out.
func (s *keySet) home(hi, lo uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	at, _ := bits.Mul64(hi^bits.RotateLeft64(lo*odd, 32), uint64(len(s.slots)))
	return at
}

// add adds a key and reports whether it was missing.
func (s *keySet) add(hi, lo uint64) bool {
	if hi|lo == 0 {
		missing := !s.zero
		s.zero = true
		if missing {
			s.n++
		}
		return missing
	}
	if s.n >= s.grow {
		s.enlarge()
	}
	for i := s.home(hi, lo); ; {
		e := &s.slots[i]
		if e.hi == hi && e.lo == lo {
			return false
		}
		if e.hi|e.lo == 0 {
			e.hi, e.lo = hi, lo
			s.n++
			return true
		}
		if i++; i == uint64(len(s.slots)) {
			i = 0
		}
	}
}

func (s *keySet) enlarge() {
	// What earlier tables took is given back first, or the collector would let the
	// heap grow to twice its size. It has next to nothing to look through: the
	// tables hold no pointers.
	if len(s.slots) > 1<<20 {
		runtime.GC()
	}
	old, n := s.slots, s.n
	s.resize(s.grow + s.grow/2)
	s.n = 0
	for _, e := range old {
		if e.hi|e.lo != 0 {
			s.add(e.hi, e.lo)
		}
	}
	s.n = n
}

// each calls f with every key.
func (s *keySet) each(f func(hi, lo uint64) error) error {
	if s.zero {
		if err := f(0, 0); err != nil {
			return err
		}
	}
	for _, e := range s.slots {
		if e.hi|e.lo != 0 {
			if err := f(e.hi, e.lo); err != nil {
				return err
			}
		}
	}
	return nil
}
