package snapshot

import (
	"context"
	"errors"
)

// Fate is how a member that vanished is handled.
type Fate uint8

// Fates.
const (
	// Gone: no row of the segment has the member's address either.
	Gone Fate = iota
	// Superseded: a row of the segment has the address under another key. The
	// profile stays on the list, recorded under that key.
	Superseded
	// Linked: a profile that is still in the segment had the address at the last run, and
	// no longer has it. Both may be one user in Iterable, so the member stays on the list
	// and recorded; the next run, which knows the other one without the address, decides
	// again.
	Linked
)

// Identities decides which vanished members may be removed in a project where an address or
// a user ID can identify a profile. Keys are not enough there: a profile known by its
// address gets another key with a user ID, and loses it again; an address moves from one
// user ID to another; and two rows of a segment can name one profile, one by each. A profile
// in the segment by any identifier must not be removed by an old one.
//
// Its methods expect addresses as Keys, hashes of one kind, in any order. What doesn't fit
// into memory is sorted in files, as by an Update.
type Identities struct {
	sorter sorter
	member Member
	text   []byte
}

// What is known of an address, in the order of processing.
const (
	addressInRow = iota
	addressOfMember
	addressVanished
)

// NewIdentities returns an Identities that holds that many bytes in memory (0 is
// 16 MB) and the rest in temporary files in dir ("" is the system's). It must be
// closed.
func NewIdentities(dir string, memory int) *Identities {
	return &Identities{sorter: newSorter(dir, memory)}
}

// Row records the address of a row that is sent, or unchanged on the list.
func (x *Identities) Row(address Key) error { return x.note(address, addressInRow) }

// Stays records the address that a member named by a row had at the last run.
func (x *Identities) Stays(address Key) error { return x.note(address, addressOfMember) }

func (x *Identities) note(address Key, kind uint64) error {
	x.member = Member{Key: address}
	return x.sorter.add(&x.member, kind)
}

// Vanished records a member whose key no row has. The bytes are copied.
func (x *Identities) Vanished(address Key, m *Member) error {
	// The sorter's key is the address; the member's own travels before its user ID.
	x.text = append(append(x.text[:0], m.Key[:]...), m.UserID...)
	x.member = Member{Key: address, Fields: m.Fields, Email: m.Email, UserID: x.text}
	return x.sorter.add(&x.member, addressVanished)
}

// Decide calls f with every member that vanished, in the order of the addresses' hashes.
// Nothing can be recorded afterwards.
func (x *Identities) Decide(ctx context.Context, f func(*Member, Fate) error) error {
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

// Close deletes the remaining temporary files.
func (x *Identities) Close() error {
	if x == nil {
		return nil
	}
	if err := x.sorter.close(); err != nil {
		return errors.Join(errors.New("tidy up after comparing identities"), err)
	}
	return nil
}
