package sandbox

import (
	"bytes"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Profiles are kept in pages without pointers, so that ten million of them cost
// the garbage collector nothing and the machine little: 16 bytes a profile, its
// text, and 10 to 20 bytes of index for each thing it is found by. With addresses
// of 32 bytes that is 67 bytes a member of one list (BenchmarkTenMillionMembers).
const (
	pageBits = 14
	pageSize = 1 << pageBits
	// maxIdentifier is the longest address or user id that a profile holds.
	maxIdentifier = 255
)

type person struct {
	// fields is the hash of the last dataFields, 0 if there were none.
	fields uint64
	// text is where the address begins in the page's text; the user id follows.
	text              uint32
	emailLen, userLen uint8
}

type page struct {
	people [pageSize]person
	text   []byte
}

// people is the set of a project's profiles, numbered from 0. The caller locks.
type people struct {
	pages  []*page
	count  uint32
	emails index
	users  index
}

func (p *people) at(id uint32) (*page, *person) {
	g := p.pages[id>>pageBits]
	return g, &g.people[id&(pageSize-1)]
}

// email gives a profile's address, empty if it has none. It shares memory.
func (p *people) email(id uint32) []byte {
	g, m := p.at(id)
	return g.text[m.text : m.text+uint32(m.emailLen)]
}

// user gives a profile's user id, empty if it has none. It shares memory.
func (p *people) user(id uint32) []byte {
	g, m := p.at(id)
	from := m.text + uint32(m.emailLen)
	return g.text[from : from+uint32(m.userLen)]
}

func (p *people) findEmail(email []byte) (uint32, bool) {
	return p.emails.find(xxh3.Hash(email), func(id uint32) bool { return bytes.Equal(p.email(id), email) })
}

func (p *people) findUser(user []byte) (uint32, bool) {
	return p.users.find(xxh3.Hash(user), func(id uint32) bool { return bytes.Equal(p.user(id), user) })
}

// add makes a profile. The caller knows that there is none of these names.
func (p *people) add(email, user []byte) uint32 {
	id := p.count
	if id>>pageBits == uint32(len(p.pages)) {
		if n := len(p.pages); n > 0 { // give back what append took in advance
			last := p.pages[n-1]
			last.text = append(make([]byte, 0, len(last.text)), last.text...)
		}
		p.pages = append(p.pages, new(page))
	}
	p.count++
	p.name(id, email, user)
	return id
}

// name gives a profile its address and user id, either of which may be empty.
func (p *people) name(id uint32, email, user []byte) {
	g, m := p.at(id)
	newEmail := !bytes.Equal(p.email(id), email)
	newUser := !bytes.Equal(p.user(id), user)
	if !newEmail && !newUser {
		return
	}
	from := uint32(len(g.text))
	g.text = append(append(g.text, email...), user...)
	m.text, m.emailLen, m.userLen = from, uint8(len(email)), uint8(len(user))
	if newEmail && len(email) > 0 {
		if _, known := p.findEmail(email); !known {
			p.emails.add(xxh3.Hash(email), id)
		}
	}
	if newUser && len(user) > 0 {
		if _, known := p.findUser(user); !known {
			p.users.add(xxh3.Hash(user), id)
		}
	}
}

// index is a hash table from a 64-bit hash to the numbers of profiles. It is cut
// into parts that grow one by one, so that no request waits for all of it.
//
// A slot holds the hash's lower half above the number plus one; 0 is empty.
// Nothing is taken out: the slot of a name that a profile no longer has stays,
// and find's caller sees that it doesn't fit.
type index struct {
	parts [256]part
}

type part struct {
	slots []uint64
	used  int
}

func (x *index) find(hash uint64, is func(id uint32) bool) (uint32, bool) {
	slots := x.parts[hash>>56].slots
	if len(slots) == 0 {
		return 0, false
	}
	tag, mask := hash<<32, uint64(len(slots)-1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := slots[i]
		if slot == 0 {
			return 0, false
		}
		if slot&^(1<<32-1) == tag {
			if id := uint32(slot) - 1; is(id) {
				return id, true
			}
		}
	}
}

func (x *index) add(hash uint64, id uint32) {
	t := &x.parts[hash>>56]
	if 4*(t.used+1) > 3*len(t.slots) {
		old := t.slots
		t.slots = make([]uint64, max(16, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				t.put(slot)
			}
		}
	}
	t.put(hash<<32 | uint64(id+1))
	t.used++
}

// put places a slot's value by the half of the hash that it bears. A part has
// fewer than 2³² slots, so that half is all that the place depends on.
func (t *part) put(slot uint64) {
	mask := uint64(len(t.slots) - 1)
	i := slot >> 32 & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}

// members is a set of profile numbers: a bit for each, in pages like those of
// the profiles. The caller locks.
type members struct {
	pages []*[pageSize / 64]uint64
	count int
}

func (m *members) has(id uint32) bool {
	p := int(id >> pageBits)
	if p >= len(m.pages) || m.pages[p] == nil {
		return false
	}
	bit := id & (pageSize - 1)
	return m.pages[p][bit>>6]&(1<<(bit&63)) != 0
}

func (m *members) add(id uint32) {
	p := int(id >> pageBits)
	for p >= len(m.pages) {
		m.pages = append(m.pages, nil)
	}
	if m.pages[p] == nil {
		m.pages[p] = new([pageSize / 64]uint64)
	}
	bit := id & (pageSize - 1)
	word, mask := &m.pages[p][bit>>6], uint64(1)<<(bit&63)
	if *word&mask == 0 {
		*word |= mask
		m.count++
	}
}

func (m *members) remove(id uint32) {
	if m.has(id) {
		bit := id & (pageSize - 1)
		m.pages[id>>pageBits][bit>>6] &^= 1 << (bit & 63)
		m.count--
	}
}

// all calls f with each member in ascending order until f gives false.
func (m *members) all(f func(id uint32) bool) {
	for p, page := range m.pages {
		if page == nil {
			continue
		}
		for w, word := range page {
			for ; word != 0; word &= word - 1 {
				if !f(uint32(p<<pageBits | w<<6 | bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}
