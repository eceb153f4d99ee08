package snapshot

import (
	"context"
	"errors"
)

// Fate is what is to become of a member whose key no row of the segment has.
type Fate uint8

// Fates.
const (
	// Gone: nobody in the segment has the member's address either.
	Gone Fate = iota
	// Superseded: a row of the segment has the address under another key. The
	// person stays on the list, recorded under that key.
	Superseded
	// Linked: at the last run, somebody had the address whom the segment still
	// has, without it. They may be one person to Iterable, so the member stays on
	// the list and recorded; the next run, which knows the other one without the
	// address, judges again.
	Linked
)

// Identities decides who of the members who vanished may be removed in a project
// where an address and a user id can both identify a person. Keys are not
// enough there: a person known by the address alone gets another key with a user
// id, and loses it again; an address moves from one user id to another; and two
// rows of a segment can name one person, one by each. Whoever is in the segment
// by any identifier must not be taken off the list by an old one.
//
// Its methods take addresses as Keys, hashes of one kind. They may come in any
// order; what doesn't fit into memory is sorted in files, as by an Update.
type Identities struct {
	sorter sorter
	member Member
	text   []byte
}

// What is known of an address, in the order in which it is looked at.
const (
	addressInRow = iota
	addressOfMember
	addressVanished
)

// NewIdentities holds that many bytes in memory, 0 being DefaultSortBytes, and the rest in
// temporary files of a folder, "" being the system's. Close it whatever happens.
func NewIdentities(dir string, memory int) *Identities {
	return &Identities{sorter: newSorter(dir, memory)}
}

// Row notes the address of a row that is sent, or unchanged on the list.
func (x *Identities) Row(address Key) error { return x.note(address, addressInRow) }

// Stays notes the address that somebody had at the last run whom a row names.
func (x *Identities) Stays(address Key) error { return x.note(address, addressOfMember) }

func (x *Identities) note(address Key, kind uint64) error {
	x.member = Member{Key: address}
	return x.sorter.add(&x.member, kind)
}

// Vanished notes a member whose key no row has. The bytes are copied.
func (x *Identities) Vanished(address Key, m *Member) error {
	// The sorter's key is the address; the member's own travels before its user id.
	x.text = append(append(x.text[:0], m.Key[:]...), m.UserID...)
	x.member = Member{Key: address, Fields: m.Fields, Email: m.Email, UserID: x.text}
	return x.sorter.add(&x.member, addressVanished)
}

// Judge calls f with every member who vanished, in the order of the addresses'
// hashes. Nothing can be noted afterwards.
func (x *Identities) Judge(ctx context.Context, f func(*Member, Fate) error) error {
	all, err := x.sorter.sorted()
	if err != nil {
		return err
	}
	var address Key
	fate := Gone
	for n := 0; all.more(); n++ {
		if n%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		m := all.member
		if n == 0 || m.Key != address {
			address, fate = m.Key, Gone
		}
		switch all.kind {
		case addressInRow:
			fate = Superseded
		case addressOfMember:
			if fate == Gone {
				fate = Linked
			}
		default:
			if len(m.UserID) < len(m.Key) {
				return errShort
			}
			m.Key, m.UserID = Key(m.UserID[:len(m.Key)]), m.UserID[len(m.Key):]
			if err := f(&m, fate); err != nil {
				return err
			}
		}
		if err := all.next(); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the temporary files that are left.
func (x *Identities) Close() error {
	if x == nil {
		return nil
	}
	if err := x.sorter.close(); err != nil {
		return errors.Join(errors.New("tidy up after comparing identities"), err)
	}
	return nil
}
