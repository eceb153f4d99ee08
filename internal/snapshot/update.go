package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Update is what a run did to a list, from which the next snapshot is made. Its
// methods take people in any order; for somebody who is named more than once,
// the strongest counts: Forget, then Refuse, then Put, then Doubt, then Remove.
//
// In append mode nobody is removed, so nobody who vanished from the segment is
// given to Remove, and all of them stay recorded: should the mode become mirror,
// whoever an earlier run put there and is absent then goes.
type Update struct {
	sorter sorter
	put    Member
	void   bool
}

// Kinds of changes, the strongest last.
const (
	changeRemove = iota
	changeDoubt
	changePut
	changeRefuse
	changeForget
	changeBits = 3
)

// DefaultSortBytes is how much an Update keeps in memory before it sorts it and
// puts it into a temporary file: about 200,000 people's worth. Three times as
// much made a first export of a million no faster and the worker 100 MB larger.
const DefaultSortBytes = 16 << 20

// NewUpdate starts an update that holds that many bytes in memory, 0 being
// DefaultSortBytes, and the rest in temporary files of a folder, "" being the system's.
// Close it whatever happens.
func NewUpdate(dir string, memory int) *Update {
	return &Update{sorter: newSorter(dir, memory)}
}

// Put records a profile whose addition Iterable has acknowledged. The bytes are copied.
func (u *Update) Put(m *Member) error { return u.sorter.add(m, changePut) }

// Remove takes out a member whose removal Iterable has acknowledged.
func (u *Update) Remove(k Key) error { return u.change(k, changeRemove) }

// Doubt records a profile whose addition or removal may or may not have happened. A
// member that was known stays, with values that are Unknown; any other one becomes
// Unconfirmed. The bytes are copied.
func (u *Update) Doubt(m *Member) error {
	u.put = *m
	u.put.Fields = Unconfirmed
	return u.sorter.add(&u.put, changeDoubt)
}

// Refuse records that Iterable did not take what was sent about somebody: an addition
// leaves no trace; after an update or a removal the member stays, with values that are
// Unknown, so that it is sent or removed again.
func (u *Update) Refuse(k Key) error { return u.change(k, changeRefuse) }

// Void makes the values Unknown of all members that no other method names. A run that
// sends everything does not trust what was known before.
func (u *Update) Void() { u.void = true }

// Forget records that Iterable has nobody like that any more: whatever was
// known about the person goes.
func (u *Update) Forget(k Key) error { return u.change(k, changeForget) }

func (u *Update) change(k Key, kind uint64) error {
	u.put = Member{Key: k}
	return u.sorter.add(&u.put, kind)
}

// Publish writes the snapshot that old becomes, nil being an empty one, and
// returns its header. It does not close w, and the update can't be used again.
//
// The old snapshot is the one that staging compared with, or nil where staging
// found that it can't be used. ErrCorrupt means that it was damaged since then.
func (u *Update) Publish(ctx context.Context, old *Snapshot, h Header, w io.Writer) (Header, error) {
	changes, err := u.sorter.sorted()
	if err != nil {
		return Header{}, err
	}
	out, err := NewWriter(w, h)
	if err != nil {
		return Header{}, err
	}
	defer out.release()
	members := &cursor{done: true}
	if old != nil {
		members = old.cursor(ctx)
		members.next()
	}
	if err := u.merge(ctx, members, changes, out); err != nil {
		return Header{}, err
	}
	return out.Close()
}

// merge goes through both, in order of key.
func (u *Update) merge(ctx context.Context, members *cursor, changes *merger, out *Writer) error {
	var put Member
	for n := 0; changes.more(); n++ {
		if n%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key := changes.member.Key
		for ; members.more() && members.member.Key.compare(key) < 0; members.next() {
			if err := u.carry(members, out); err != nil {
				return err
			}
		}
		kind := uint64(changeRemove)
		for changes.more() && changes.member.Key == key {
			if kind = max(kind, changes.kind); changes.kind == changePut || changes.kind == changeDoubt {
				put = clone(put, &changes.member)
			}
			if err := changes.next(); err != nil {
				return err
			}
		}
		before := members.more() && members.member.Key == key
		var err error
		switch {
		case kind == changePut, kind == changeDoubt && !before:
			err = out.Append(&put)
		case kind == changeRefuse && before, kind == changeDoubt:
			err = appendUnknown(out, members.member)
		}
		if err != nil {
			return err
		}
		if before {
			members.next()
		}
	}
	for ; members.more(); members.next() {
		if err := u.carry(members, out); err != nil {
			return err
		}
	}
	return members.err
}

// carry appends a member that no change names.
func (u *Update) carry(members *cursor, out *Writer) error {
	if u.void {
		return appendUnknown(out, members.member)
	}
	return out.Append(&members.member)
}

// appendUnknown appends a member whose values are not known any more.
func appendUnknown(out *Writer, m Member) error {
	if m.Fields != Unconfirmed {
		m.Fields = Unknown
	}
	return out.Append(&m)
}

// clone copies a member into the buffers of another.
func clone(to Member, m *Member) Member {
	return Member{
		Key: m.Key, Fields: m.Fields,
		Email: append(to.Email[:0], m.Email...), UserID: append(to.UserID[:0], m.UserID...),
	}
}

// Close removes the temporary files that are left.
func (u *Update) Close() error {
	if err := u.sorter.close(); err != nil {
		return fmt.Errorf("tidy up after publishing the snapshot: %w", err)
	}
	return nil
}

var errUsed = errors.New("the update was published already")
