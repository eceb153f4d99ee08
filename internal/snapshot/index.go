package snapshot

import "math/bits"

// Verdict is what a segment's row means for the list.
type Verdict uint8

// Verdicts.
const (
	// New: the profile was not on the list, or not certainly.
	New Verdict = iota
	// Changed: on the list, with other fields.
	Changed
	// Unchanged: on the list, with the same fields.
	Unchanged
	// Duplicate: an earlier row has the same profile.
	Duplicate
)

// index holds the members of the list and the profiles seen in the segment. Members are in
// one sorted array, found by the leading bits of their key, at 25 bytes each; other profiles
// are in a map, at up to 45 bytes each.
type index struct {
	members []entry
	// starts[b] is the first member with leading bits of b or more.
	starts []uint32
	bits   uint
	seen   bitmap // of members
	others map[Key]struct{}
	// touched keeps the compiler from leaving lookups out.
	touched bool
}

type entry struct{ hi, lo, fields uint64 }

// newIndex returns an index for that many members, with room for some of them and for
// others. It does not trust a footer for more than a million.
func newIndex(members, room, others int64) *index {
	return &index{
		members: make([]entry, 0, room), seen: newBitmap(members),
		others: make(map[Key]struct{}, min(max(others, 0), 1<<20)),
	}
}

// load adds a member, in ascending order of key. seal ends loading.
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

func (x *index) slot(hi uint64) int { return int(hi >> (64 - x.bits)) }

// find returns the member's number, or -1.
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

// mark records that the segment has a profile.
func (x *index) mark(k Key, fields uint64) Verdict {
	i := x.find(k.halves())
	if i < 0 {
		n := len(x.others)
		if x.others[k] = struct{}{}; len(x.others) == n {
			return Duplicate
		}
		return New
	}
	switch {
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

// touch brings what mark reads for a key into the processor's cache.
func (x *index) touch(k Key) {
	if x.find(k.halves()) < 0 {
		_, x.touched = x.others[k]
	}
}

// size returns the number of profiles in the index.
func (x *index) size() int64 { return int64(len(x.members) + len(x.others)) }

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

// all reports whether the numbers from start to end-1 are in the set.
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
